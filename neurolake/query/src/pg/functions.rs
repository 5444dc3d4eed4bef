//! Functions that clients call about the session and about the catalog.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::prelude::SessionContext;

use super::introspection::{Comments, OWNER};
use super::{SERVER_VERSION, Session, Variables, template, type_name, types};

/// What `version()` says: clients read the number behind `PostgreSQL`.
fn version() -> String {
    format!(
        "PostgreSQL {SERVER_VERSION} (neurolake {})",
        env!("CARGO_PKG_VERSION")
    )
}

/// Functions that always answer the same, whatever they are asked: there is nothing here that could
/// have an index, a trigger or a size on disk.
pub(super) fn register_fixed(context: &SessionContext) {
    let no_text = || ScalarValue::Utf8(None);
    let text = |value: &str| ScalarValue::Utf8(Some(value.to_owned()));
    let yes = || ScalarValue::Boolean(Some(true));
    let no = || ScalarValue::Boolean(Some(false));
    let zero = || ScalarValue::Int64(Some(0));
    // Columns of keys and their places: nothing here has keys.
    let place = |name: &str| Field::new(name, DataType::Int32, true);
    let no_place = StructArray::new_null(vec![place("x"), place("n")].into(), 1);
    let no_place = ScalarValue::Struct(Arc::new(no_place));
    let fixed: [(&'static str, &[usize], ScalarValue); 64] = [
        ("_pg_expandarray", &[1], no_place),
        ("getdatabaseencoding", &[0], text("UTF8")),
        ("has_column_privilege", &[3, 4], yes()),
        ("has_foreign_data_wrapper_privilege", &[2, 3], no()),
        ("has_function_privilege", &[2, 3], yes()),
        ("has_language_privilege", &[2, 3], no()),
        ("has_sequence_privilege", &[2, 3], yes()),
        ("has_server_privilege", &[2, 3], no()),
        ("has_tablespace_privilege", &[2, 3], no()),
        ("has_type_privilege", &[2, 3], yes()),
        ("inet_client_addr", &[0], no_text()),
        ("inet_client_port", &[0], ScalarValue::Int32(None)),
        ("inet_server_addr", &[0], no_text()),
        ("inet_server_port", &[0], ScalarValue::Int32(None)),
        ("pg_advisory_unlock_all", &[0], no_text()),
        ("pg_char_to_encoding", &[1], ScalarValue::Int32(Some(6))),
        ("pg_collation_is_visible", &[1], yes()),
        ("pg_conversion_is_visible", &[1], yes()),
        ("pg_database_size", &[1], zero()),
        ("pg_function_is_visible", &[1], yes()),
        ("pg_get_expr", &[2, 3], no_text()),
        ("pg_get_function_arg_default", &[2], no_text()),
        ("pg_get_function_arguments", &[1], no_text()),
        ("pg_get_function_identity_arguments", &[1], no_text()),
        ("pg_get_function_result", &[1], no_text()),
        ("pg_get_function_sqlbody", &[1], no_text()),
        ("pg_get_functiondef", &[1], no_text()),
        ("pg_get_indexdef", &[1, 3], no_text()),
        ("pg_get_ruledef", &[1, 2], no_text()),
        ("pg_get_serial_sequence", &[2], no_text()),
        ("pg_get_statisticsobjdef", &[1], no_text()),
        ("pg_get_triggerdef", &[1, 2], no_text()),
        ("pg_get_userbyid", &[1], text(OWNER)),
        ("pg_has_role", &[2, 3], yes()),
        ("pg_indexes_size", &[1], zero()),
        ("pg_is_in_recovery", &[0], no()),
        ("pg_is_other_temp_schema", &[1], no()),
        ("pg_is_wal_replay_paused", &[0], no()),
        ("pg_last_xact_replay_timestamp", &[0], no_text()),
        ("pg_my_temp_schema", &[0], ScalarValue::Int32(Some(0))),
        ("pg_opclass_is_visible", &[1], yes()),
        ("pg_operator_is_visible", &[1], yes()),
        ("pg_opfamily_is_visible", &[1], yes()),
        ("pg_relation_filenode", &[1], ScalarValue::Int32(None)),
        ("pg_sequence_last_value", &[1], ScalarValue::Int64(None)),
        ("pg_sequence_parameters", &[1], no_text()),
        ("pg_stat_get_analyze_count", &[1], zero()),
        ("pg_stat_get_dead_tuples", &[1], zero()),
        ("pg_stat_get_live_tuples", &[1], zero()),
        ("pg_stat_get_tuples_deleted", &[1], zero()),
        ("pg_stat_get_tuples_inserted", &[1], zero()),
        ("pg_stat_get_tuples_updated", &[1], zero()),
        ("pg_statistics_obj_is_visible", &[1], yes()),
        ("pg_table_size", &[1], zero()),
        ("pg_tablespace_location", &[1], text("")),
        ("pg_tablespace_size", &[1], zero()),
        ("pg_ts_config_is_visible", &[1], yes()),
        ("pg_ts_dict_is_visible", &[1], yes()),
        ("pg_ts_parser_is_visible", &[1], yes()),
        ("pg_ts_template_is_visible", &[1], yes()),
        ("pg_type_is_visible", &[1], yes()),
        ("shobj_description", &[2], no_text()),
        ("txid_current", &[0], ScalarValue::Int64(Some(1))),
        ("version", &[0], text(&version())),
    ];
    for (name, arguments, value) in fixed {
        context.register_udf(ScalarUDF::from(Fixed {
            name,
            signature: counts(arguments),
            value,
        }));
    }
    if let Ok(series) = context.table_function("generate_series") {
        let series = Series(Arc::clone(series.function()));
        context.register_udtf("generate_series", Arc::new(series));
    }
    let any = |count| Signature::any(count, Volatility::Stable);
    if let Ok(lists) = context.udf("array_to_string") {
        context.register_udf(ScalarUDF::from(ListToText(lists)));
    }
    context.register_udf(template::function());
    for (name, signature, return_type, body) in [
        (
            "pg_size_pretty",
            any(1),
            DataType::Utf8,
            size_pretty as Body,
        ),
        ("pg_typeof", any(1), DataType::Utf8, type_of as Body),
        (
            "quote_literal",
            any(1),
            DataType::Utf8,
            quote_literal as Body,
        ),
    ] {
        context.register_udf(ScalarUDF::from(Function {
            name,
            signature,
            return_type,
            about: About::default(),
            body,
        }));
    }
    context.register_udf(ScalarUDF::from(Function {
        name: "json_build_object",
        signature: Signature::variadic_any(Volatility::Stable),
        return_type: DataType::Utf8,
        about: About::default(),
        body: json_object,
    }));
}

/// Functions about this session.
pub(super) fn register(context: &SessionContext, session: &Session) {
    let about = About {
        variables: Arc::clone(&session.variables),
        comments: Arc::clone(session.introspection.comments()),
        user: Arc::clone(&session.user),
        path: session.search_path().into(),
    };
    let texts = DataType::new_list(DataType::Utf8, true);
    for (name, signature, return_type, body) in [
        (
            "current_setting",
            counts(&[1, 2]),
            DataType::Utf8,
            current_setting as Body,
        ),
        (
            "set_config",
            counts(&[3]),
            DataType::Utf8,
            set_config as Body,
        ),
        (
            "obj_description",
            counts(&[1, 2]),
            DataType::Utf8,
            obj_description as Body,
        ),
        (
            "col_description",
            counts(&[2]),
            DataType::Utf8,
            col_description as Body,
        ),
        (
            "to_regclass",
            counts(&[1]),
            DataType::Int32,
            to_regclass as Body,
        ),
        (
            "to_regtype",
            counts(&[1]),
            DataType::Int32,
            to_regtype as Body,
        ),
        ("session_user", counts(&[0]), DataType::Utf8, user as Body),
        ("current_user", counts(&[0]), DataType::Utf8, user as Body),
        (
            "current_schema",
            counts(&[0]),
            DataType::Utf8,
            current_schema as Body,
        ),
        (
            "current_schemas",
            counts(&[1]),
            texts,
            current_schemas as Body,
        ),
    ] {
        context.register_udf(ScalarUDF::from(Function {
            name,
            signature,
            return_type,
            about: about.clone(),
            body,
        }));
    }
}

/// So many arguments of any types, or so many.
fn counts(counts: &[usize]) -> Signature {
    let counts = counts.iter().map(|count| match count {
        0 => TypeSignature::Nullary,
        count => TypeSignature::Any(*count),
    });
    Signature::one_of(counts.collect(), Volatility::Stable)
}

/// Answers the same whatever it is asked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fixed {
    name: &'static str,
    signature: Signature,
    value: ScalarValue,
}

impl ScalarUDFImpl for Fixed {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

/// What a function may know about the session.
#[derive(Debug, Clone, Default)]
struct About {
    variables: Arc<Variables>,
    comments: Arc<Comments>,
    user: Arc<str>,
    path: Arc<[String]>,
}

type Body = fn(&About, &Arguments) -> DataFusionResult<ColumnarValue>;

struct Arguments {
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl Arguments {
    fn texts(&self, index: usize) -> DataFusionResult<StringArray> {
        let column = cast(&self.columns[index], &DataType::Utf8)?;
        Ok(column.as_string::<i32>().clone())
    }

    fn numbers(&self, index: usize) -> DataFusionResult<Vec<Option<i32>>> {
        let column = cast(&self.columns[index], &DataType::Int32)?;
        Ok(column.as_primitive::<Int32Type>().iter().collect())
    }
}

#[derive(Debug)]
struct Function {
    name: &'static str,
    signature: Signature,
    return_type: DataType,
    about: About,
    body: Body,
}

/// One session never has two functions of one name.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl std::hash::Hash for Function {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.return_type.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let rows = arguments.number_rows;
        let columns = arguments.args.iter();
        let columns = columns.map(|value| value.to_array(rows));
        let columns = columns.collect::<DataFusionResult<_>>()?;
        (self.body)(&self.about, &Arguments { columns, rows })
    }
}

fn one_text(value: Option<String>) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::Utf8(value))
}

fn texts(values: impl Iterator<Item = Option<String>>) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(values.collect::<StringArray>()))
}

fn current_setting(about: &About, arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    let is_optional = arguments.columns.get(1).is_some_and(|flag| {
        flag.as_boolean_opt()
            .is_some_and(|flag| !flag.is_empty() && flag.value(0))
    });
    let mut values = Vec::with_capacity(arguments.rows);
    for name in &arguments.texts(0)? {
        let value = name.and_then(|name| about.variables.get(name));
        if let (Some(name), None, false) = (name, &value, is_optional) {
            return exec_err!("unrecognized configuration parameter \"{name}\"");
        }
        values.push(value);
    }
    Ok(texts(values.into_iter()))
}

fn set_config(about: &About, arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    let (names, values) = (arguments.texts(0)?, arguments.texts(1)?);
    for (name, value) in names.iter().zip(&values) {
        if let (Some(name), Some(value)) = (name, value) {
            about.variables.set(name, value);
        }
    }
    Ok(ColumnarValue::Array(Arc::new(values)))
}

fn obj_description(about: &About, arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    let objects = arguments.numbers(0)?.into_iter();
    let classes = match arguments.columns.len() {
        1 => None,
        _ => Some(arguments.texts(1)?),
    };
    Ok(texts(objects.enumerate().map(|(row, object)| {
        let class = classes.as_ref().map(|classes| classes.value(row));
        let comment = match class {
            None | Some("pg_class") => about.comments.of_table(object?, 0),
            Some("pg_namespace") => about.comments.of_database(object?),
            Some(_) => None,
        };
        comment.map(str::to_owned)
    })))
}

fn col_description(about: &About, arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    let tables = arguments.numbers(0)?.into_iter();
    let columns = arguments.numbers(1)?.into_iter();
    Ok(texts(tables.zip(columns).map(|(table, column)| {
        let comment = about.comments.of_table(table?, column?);
        comment.map(str::to_owned)
    })))
}

/// The number of a table, if there is such a one.
fn to_regclass(about: &About, arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    let default = about.path.first().map(String::as_str);
    let numbers: Int32Array = arguments
        .texts(0)?
        .iter()
        .map(|name| {
            let name = name?.replace('"', "");
            let (database, table) = match name.split_once('.') {
                Some(names) => names,
                None => (default?, name.as_str()),
            };
            about.comments.number(database, table)
        })
        .collect();
    Ok(ColumnarValue::Array(Arc::new(numbers)))
}

/// The number of a type, if there is such a one.
fn to_regtype(_about: &About, arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    let names = arguments.texts(0)?;
    let numbers: Int32Array = names.iter().map(|name| types::oid_of(name?)).collect();
    Ok(ColumnarValue::Array(Arc::new(numbers)))
}

fn json_object(_about: &About, arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    let mut columns = Vec::with_capacity(arguments.columns.len());
    for (index, column) in arguments.columns.iter().enumerate() {
        let data_type = column.data_type();
        let is_bare = data_type.is_numeric() || *data_type == DataType::Boolean;
        columns.push((arguments.texts(index)?, is_bare));
    }
    Ok(texts((0..arguments.rows).map(|row| {
        let fields = columns.chunks_exact(2).map(|pair| {
            let (name, _) = &pair[0];
            let (value, is_bare) = &pair[1];
            let text = |text: &str| serde_json::Value::from(text).to_string();
            let value = match (value.is_valid(row), is_bare) {
                (false, _) => "null".to_owned(),
                (true, true) => value.value(row).to_owned(),
                (true, false) => text(value.value(row)),
            };
            format!("{} : {value}", text(name.value(row)))
        });
        Some(format!("{{{}}}", fields.collect::<Vec<_>>().join(", ")))
    })))
}

#[expect(clippy::unnecessary_wraps, reason = "others can fail")]
fn user(about: &About, _arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    Ok(one_text(Some(about.user.to_string())))
}

#[expect(clippy::unnecessary_wraps, reason = "others can fail")]
fn current_schema(about: &About, _arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    Ok(one_text(about.path.first().cloned()))
}

#[expect(clippy::unnecessary_wraps, reason = "others can fail")]
fn current_schemas(about: &About, arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    let with_system = arguments.columns[0]
        .as_boolean_opt()
        .is_some_and(|flag| !flag.is_empty() && flag.value(0));
    let system = with_system.then(|| "pg_catalog".to_owned());
    let names = system.into_iter().chain(about.path.iter().cloned());
    let names: Vec<ScalarValue> = names.map(|name| ScalarValue::Utf8(Some(name))).collect();
    let list = ScalarValue::new_list_nullable(&names, &DataType::Utf8);
    Ok(ColumnarValue::Scalar(ScalarValue::List(list)))
}

/// As PostgreSQL rounds: a unit is left only at ten times its size.
fn size_pretty(_about: &About, arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    let sizes = cast(&arguments.columns[0], &DataType::Int64)?;
    let sizes = sizes.as_primitive::<Int64Type>();
    Ok(texts(sizes.iter().map(|size| {
        let mut size = size?;
        for unit in ["bytes", "kB", "MB", "GB", "TB"] {
            if size.abs() < 10 * 1024 {
                return Some(format!("{size} {unit}"));
            }
            size = (size + 512) / 1024;
        }
        Some(format!("{size} PB"))
    })))
}

#[expect(clippy::unnecessary_wraps, reason = "others can fail")]
fn type_of(_about: &About, arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    let name = type_name(arguments.columns[0].data_type());
    Ok(one_text(Some(name.to_owned())))
}

fn quote_literal(_about: &About, arguments: &Arguments) -> DataFusionResult<ColumnarValue> {
    let values = arguments.texts(0)?;
    Ok(texts(values.iter().map(|value| {
        let value = value?;
        let escape = if value.contains('\\') { "E" } else { "" };
        let value = value.replace('\\', "\\\\").replace('\'', "''");
        Some(format!("{escape}'{value}'"))
    })))
}

/// `generate_series` without rows where a bound is null, whatever its type.
#[derive(Debug)]
struct Series(Arc<dyn TableFunctionImpl>);

impl TableFunctionImpl for Series {
    fn call_with_args(
        &self,
        args: TableFunctionArgs<'_, '_>,
    ) -> DataFusionResult<Arc<dyn TableProvider>> {
        let bounds: Vec<Expr> = args
            .exprs()
            .iter()
            .map(|bound| match bound {
                Expr::Literal(value, _) if value.is_null() => {
                    Expr::Literal(ScalarValue::Null, None)
                }
                bound => bound.clone(),
            })
            .collect();
        let args = TableFunctionArgs::new(&bounds, args.session());
        self.0.call_with_args(args)
    }
}

/// `array_to_string` that takes privileges for what they are here: a text, and always null.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ListToText(Arc<ScalarUDF>);

impl ScalarUDFImpl for ListToText {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        static ANY: LazyLock<Signature> =
            LazyLock::new(|| Signature::variadic_any(Volatility::Stable));
        &ANY
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let first = arguments.args.first().map(ColumnarValue::data_type);
        if matches!(
            first,
            Some(DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        ) {
            let column = arguments.args[0].to_array(arguments.number_rows)?;
            return Ok(ColumnarValue::Array(cast(&column, &DataType::Utf8)?));
        }
        self.0.invoke_with_args(arguments)
    }
}
