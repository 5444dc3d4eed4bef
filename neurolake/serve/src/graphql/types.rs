//! The GraphQL schema of some tables, for the rules of GraphQL and for clients that ask what there is.
//!
//! No resolver gives anything: `plan` says what is read, and rows never pass through here.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, InputObject, InputValue, Object, Scalar as ScalarType,
    Schema, SchemaBuilder, SchemaError, Type, TypeRef,
};

use super::columns::{Column, Kind, Scalar, Table};
use super::condition::{IS_NULL, LIST_OPERATORS, OPERATORS, Operator};
use super::names::{
    AGGREGATE, AGGREGATE_FIELDS, ARGUMENTS, AVERAGES, COLUMN_NAMES, CONDITION, DEVIATIONS,
    DIRECTION, EXTREMES, ORDER, QUERY, SUMS,
};
use super::nesting::DEEPEST;
use super::plan::{AGGREGATES, MOST_ROWS_BY_DEFAULT, aggregate_of};
use crate::select::Aggregate;

/// Condition on a column whose values can't be compared.
const PRESENCE: &str = "Presence_comparison_exp";

/// The schema of these tables.
///
/// # Errors
/// The types contradict each other, which is a bug.
pub(crate) fn schema(tables: &[Arc<Table>]) -> Result<Schema, SchemaError> {
    let mut types = Types {
        builder: Some(Schema::build(QUERY, None, None)),
        compared: BTreeSet::new(),
    };
    let mut query = Object::new(QUERY).description("Rows of tables, only to be read.");
    for table in tables {
        query = query.field(rows(table)).field(aggregate(table));
        types.table(table);
    }
    if tables.is_empty() {
        let nothing = Field::new("nothing", TypeRef::named(TypeRef::BOOLEAN), nothing);
        query = query.field(nothing.description("There are no tables."));
    }
    types.register(query);
    types.shared();
    let builder = types.builder.take().expect("it is always put back");
    builder
        // Names that may be meant are looked for in `plan`, where that is cheap.
        .disable_suggestions()
        .limit_recursive_depth(DEEPEST)
        .finish()
}

/// What every field gives here.
fn nothing(_: async_graphql::dynamic::ResolverContext<'_>) -> FieldFuture<'_> {
    FieldFuture::Value(None)
}

fn rows(table: &Table) -> Field {
    let list = TypeRef::named_nn_list(&table.name);
    described(table, Field::new(&table.name, list, nothing), &table.docs)
}

fn aggregate(table: &Table) -> Field {
    let name = format!("{}{AGGREGATE}", table.name);
    let field = Field::new(&name, TypeRef::named(&name), nothing);
    let docs = format!("Aggregates over `{}`.", table.name);
    described(table, field, &docs)
}

fn described(table: &Table, field: Field, docs: &str) -> Field {
    let field = arguments(table, field);
    let field = if docs.is_empty() {
        field
    } else {
        field.description(docs)
    };
    match &table.deprecated {
        Some(reason) => field.deprecation(Some(reason)),
        None => field,
    }
}

struct Types {
    builder: Option<SchemaBuilder>,
    /// Scalars that conditions compare, and whether in lists.
    compared: BTreeSet<(Scalar, bool)>,
}

impl Types {
    fn register(&mut self, new: impl Into<Type>) {
        let builder = self.builder.take();
        self.builder = builder.map(|builder| builder.register(new));
    }

    fn table(&mut self, table: &Table) {
        let name = &table.name;
        self.object(name, &table.docs, &table.columns);
        self.conditions(name, &table.columns);
        self.orders(name, &table.columns);
        self.column_names(table);
        self.function_arguments(table);
        self.aggregates(table);
    }

    /// An object type and those that it needs.
    fn object(&mut self, name: &str, docs: &str, columns: &[Column]) {
        let mut object = Object::new(name);
        if !docs.is_empty() {
            object = object.description(docs);
        }
        for column in columns {
            object = object.field(output(column, type_of(&column.kind)));
            if let Some(inner) = column.kind.innermost() {
                self.object(&inner.type_name, "", &inner.fields);
            }
        }
        self.register(object);
    }

    fn conditions(&mut self, name: &str, columns: &[Column]) {
        let type_name = format!("{name}{CONDITION}");
        let some = || TypeRef::named_nn_list(&type_name);
        let mut input = InputObject::new(&type_name)
            .description("Which rows; several conditions must all hold.")
            .field(InputValue::new("_and", some()).description("All of these hold."))
            .field(InputValue::new("_or", some()).description("One of these holds."))
            .field(
                InputValue::new("_not", TypeRef::named(&type_name))
                    .description("This does not hold."),
            );
        for column in columns {
            let of = match &column.kind {
                Kind::Object(object) => {
                    self.conditions(&object.type_name, &object.fields);
                    format!("{}{CONDITION}", object.type_name)
                }
                kind => match kind.compared() {
                    Some(compared) => {
                        self.compared.insert(compared);
                        comparison(compared)
                    }
                    None => PRESENCE.to_owned(),
                },
            };
            input = input.field(InputValue::new(&column.name, TypeRef::named(of)));
        }
        self.register(input);
    }

    fn orders(&mut self, name: &str, columns: &[Column]) {
        let mut input = InputObject::new(format!("{name}{ORDER}"));
        let mut is_empty = true;
        for column in columns.iter().filter(|column| is_ordered(column)) {
            let of = match column.object() {
                Some(object) => {
                    self.orders(&object.type_name, &object.fields);
                    format!("{}{ORDER}", object.type_name)
                }
                None => DIRECTION.to_owned(),
            };
            input = input.field(InputValue::new(&column.name, TypeRef::named(of)));
            is_empty = false;
        }
        if !is_empty {
            self.register(input);
        }
    }

    fn column_names(&mut self, table: &Table) {
        let mut names = Enum::new(format!("{}{COLUMN_NAMES}", table.name));
        for column in &table.columns {
            names = names.item(EnumItem::new(&column.name));
        }
        self.register(names);
    }

    fn function_arguments(&mut self, table: &Table) {
        if table.arguments.is_empty() {
            return;
        }
        let mut input = InputObject::new(format!("{}{ARGUMENTS}", table.name));
        for argument in &table.arguments {
            let name = argument.scalar.name();
            let of = match (argument.is_list, argument.is_required) {
                (true, true) => TypeRef::named_nn_list_nn(name),
                (true, false) => TypeRef::named_nn_list(name),
                (false, true) => TypeRef::named_nn(name),
                (false, false) => TypeRef::named(name),
            };
            input = input.field(InputValue::new(&argument.name, of));
        }
        self.register(input);
    }

    fn aggregates(&mut self, table: &Table) {
        let name = &table.name;
        let fields = format!("{name}{AGGREGATE_FIELDS}");
        let both = Object::new(format!("{name}{AGGREGATE}"))
            .field(Field::new("aggregate", TypeRef::named(&fields), nothing))
            .field(Field::new("nodes", TypeRef::named_nn_list(name), nothing));
        self.register(both);
        let columns = TypeRef::named_nn_list(format!("{name}{COLUMN_NAMES}"));
        let count = Field::new("count", TypeRef::named_nn(Scalar::BigInt.name()), nothing)
            .description("Number of rows, or of values of a column that are not null.")
            .argument(InputValue::new("columns", columns))
            .argument(
                InputValue::new("distinct", TypeRef::named(TypeRef::BOOLEAN))
                    .description("Whether equal values count once."),
            );
        let mut object = Object::new(&fields).field(count);
        for (name, aggregate) in AGGREGATES {
            if let Some(of) = self.aggregated(table, aggregate) {
                object = object.field(Field::new(name, TypeRef::named(of), nothing));
            }
        }
        self.register(object);
    }

    /// The type of one aggregate of each column that has it. `None` where no column has.
    fn aggregated(&mut self, table: &Table, aggregate: Aggregate) -> Option<String> {
        let type_name = format!("{}{}", table.name, end_of(aggregate));
        let mut object = Object::new(&type_name);
        let mut is_empty = true;
        for column in &table.columns {
            if let Some(scalar) = aggregate_of(aggregate, column) {
                object = object.field(output(column, TypeRef::named(scalar.name())));
                is_empty = false;
            }
        }
        if is_empty {
            return None;
        }
        self.register(object);
        Some(type_name)
    }

    /// What all tables have in common.
    fn shared(&mut self) {
        for scalar in Scalar::OWN {
            self.register(ScalarType::new(scalar.name()).description(scalar.docs()));
        }
        for compared in std::mem::take(&mut self.compared) {
            self.register(comparisons(compared));
        }
        let is_null = InputValue::new(IS_NULL, TypeRef::named(TypeRef::BOOLEAN));
        self.register(InputObject::new(PRESENCE).field(is_null));
        let mut directions = Enum::new(DIRECTION);
        for (name, docs) in DIRECTIONS {
            directions = directions.item(EnumItem::new(name).description(docs));
        }
        self.register(directions);
    }
}

/// Directions of an order, as PostgreSQL knows them.
const DIRECTIONS: [(&str, &str); 6] = [
    ("asc", "Smallest first, nulls last."),
    ("asc_nulls_first", "Smallest first, nulls before all."),
    ("asc_nulls_last", "Smallest first, nulls last."),
    ("desc", "Largest first, nulls before all."),
    ("desc_nulls_first", "Largest first, nulls before all."),
    ("desc_nulls_last", "Largest first, nulls last."),
];

pub(crate) fn end_of(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Sum => SUMS,
        Aggregate::Average => AVERAGES,
        Aggregate::Minimum | Aggregate::Maximum => EXTREMES,
        _ => DEVIATIONS,
    }
}

fn type_of(kind: &Kind) -> TypeRef {
    match kind {
        Kind::Scalar(scalar) => TypeRef::named(scalar.name()),
        Kind::List(item) => TypeRef::List(Box::new(type_of(item))),
        Kind::Object(object) => TypeRef::named(&object.type_name),
    }
}

fn output(column: &Column, of: TypeRef) -> Field {
    let mut field = Field::new(&column.name, of, nothing);
    if !column.docs.is_empty() {
        field = field.description(&column.docs);
    }
    if let Some(reason) = &column.deprecated {
        field = field.deprecation(Some(reason));
    }
    field
}

/// Arguments of the fields that a query begins with.
fn arguments(table: &Table, field: Field) -> Field {
    let name = &table.name;
    let named = |end: &str| format!("{name}{end}");
    let default = format!(
        "How many rows at most. Without it there may be {MOST_ROWS_BY_DEFAULT}; more are an error."
    );
    let int = || TypeRef::named(TypeRef::INT);
    let mut field = field
        .argument(InputValue::new("where", TypeRef::named(named(CONDITION))))
        .argument(InputValue::new("limit", int()).description(default))
        .argument(InputValue::new("offset", int()).description("How many rows are left out first."))
        .argument(
            InputValue::new("distinct_on", TypeRef::named_nn_list(named(COLUMN_NAMES)))
                .description("Only the first row of those that are equal in these columns."),
        );
    if table.columns.iter().any(is_ordered) {
        field = field.argument(InputValue::new(
            "order_by",
            TypeRef::named_nn_list(named(ORDER)),
        ));
    }
    if table.arguments.is_empty() {
        return field;
    }
    let of = named(ARGUMENTS);
    let is_required = table.arguments.iter().any(|argument| argument.is_required);
    let of = if is_required {
        TypeRef::named_nn(of)
    } else {
        TypeRef::named(of)
    };
    field.argument(InputValue::new("args", of).description("What the function is called with."))
}

/// Whether rows can be ordered by the column or by a part of it.
fn is_ordered(column: &Column) -> bool {
    match &column.kind {
        Kind::Scalar(scalar) => scalar.is_comparable(),
        Kind::List(_) => false,
        Kind::Object(object) => object.fields.iter().any(is_ordered),
    }
}

fn comparison((scalar, is_list): (Scalar, bool)) -> String {
    let end = if is_list { "_array" } else { "" };
    format!("{}{end}_comparison_exp", scalar.name())
}

fn comparisons(compared: (Scalar, bool)) -> InputObject {
    let (scalar, is_list) = compared;
    let operators: &[(&str, Operator)] = if is_list { &LIST_OPERATORS } else { &OPERATORS };
    let mut input = InputObject::new(comparison(compared));
    for (name, operator) in operators {
        let of = match operator {
            Operator::Compare(_) if is_list => TypeRef::named_list(scalar.name()),
            Operator::Compare(_) => TypeRef::named(scalar.name()),
            Operator::In { .. } | Operator::Elements(_) => TypeRef::named_nn_list(scalar.name()),
            Operator::IsNull => TypeRef::named(TypeRef::BOOLEAN),
            Operator::Match { .. } if scalar == Scalar::String => TypeRef::named(scalar.name()),
            Operator::Match { .. } => continue,
        };
        input = input.field(InputValue::new(*name, of));
    }
    input
}

#[cfg(test)]
mod tests {
    use super::super::columns::tests::animals;
    use super::*;

    #[test]
    fn the_schema_says_everything_about_a_table() {
        let schema = schema(&[Arc::new(animals())]).expect("a schema");
        let text = schema.sdl();
        for part in [
            "where: lab_animals_bool_exp",
            "): [lab_animals!]",
            "\tpoint: lab_animals_Point\n",
            "\tpath: [lab_animals_Path]\n",
            "\tprice: Decimal @deprecated(reason: \"since 0.2; Wrong.; use lab.prices\")",
            "input lab_animals_Point_bool_exp",
            "\tpath: Presence_comparison_exp\n",
            "\ttags: String_array_comparison_exp\n",
            "\t_contains: [String!]\n",
            "\tstddev_pop: lab_animals_stddev_fields\n",
            "scalar BigInt",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        // Only text is matched.
        assert_eq!(text.matches("\t_ilike: ").count(), 1, "{text}");
    }

    #[test]
    fn no_tables_are_a_schema_too() {
        assert!(schema(&[]).is_ok());
    }
}
