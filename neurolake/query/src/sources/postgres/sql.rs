//! From plans to PostgreSQL's SQL.
//!
//! Only what means the same in both engines is translated; for all else the answer is `None`, and
//! the plan is evaluated here. That is why this is no general writer of SQL: the ones at hand also
//! write functions that PostgreSQL lacks, compare texts by the server's collation, and edit
//! finished statements as text, where a value may hold the word `limit`.
//!
//! Texts are ordered by their bytes, as here: `collate "C"`. Equality needs no collation and can
//! use any index.

use std::any::Any;
use std::fmt::Write as _;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, JoinType, NullEquality, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Case, InList, Like, ScalarFunction};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Cast, Distinct, Expr, ExprSchemable, FetchType, Join, LogicalPlan,
    Operator, SkipType, Sort, SortExpr, TableScan,
};
use datafusion_federation::get_table_source;

use super::decode::wire_type;
use super::literal::literal;
use super::table::{Stored, Table};
use crate::semantics::arithmetic;

/// A statement with what it takes to run it.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) sql: String,
    /// Names of the tables in it, for errors.
    pub(super) tables: Vec<String>,
}

/// The plan as one statement, if PostgreSQL gives the same answer.
pub(super) fn translate(plan: &LogicalPlan) -> Option<Statement> {
    let mut translator = Translator::default();
    let select = translator.plan(plan)?;
    let types: Vec<_> = plan
        .schema()
        .fields()
        .iter()
        .map(|field| field.data_type())
        .collect();
    let sql = select.last(&types)?;
    Some(Statement {
        sql,
        tables: translator.tables,
    })
}

/// One scan as a statement, for sessions that plan without federation.
pub(super) fn scan(
    table: &Table,
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
    limit: Option<usize>,
) -> Option<Statement> {
    let mut translator = Translator::default();
    let mut select = translator.table(table);
    let schema = DFSchema::try_from(table.schema.as_ref().clone()).ok()?;
    for filter in filters {
        let filter = translator.predicate(&unqualified(filter), &Scope::new(&schema, &select))?;
        select.filter.push(filter);
    }
    select.project(projection);
    select.limit = limit;
    let fields = table.schema.fields();
    let types: Vec<_> = match projection {
        Some(indices) => indices
            .iter()
            .map(|&index| fields[index].data_type())
            .collect(),
        None => fields.iter().map(|field| field.data_type()).collect(),
    };
    Some(Statement {
        sql: select.last(&types)?,
        tables: translator.tables,
    })
}

/// Whether PostgreSQL can apply this filter on one table.
pub(super) fn can_filter(table: &Table, filter: &Expr) -> bool {
    let mut translator = Translator::default();
    let select = translator.table(table);
    DFSchema::try_from(table.schema.as_ref().clone()).is_ok_and(|schema| {
        let scope = Scope::new(&schema, &select);
        translator.predicate(&unqualified(filter), &scope).is_some()
    })
}

/// A filter of a scan names only columns of its table.
fn unqualified(filter: &Expr) -> Expr {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let changed = filter.clone().transform(|expr| {
        Ok(match expr {
            Expr::Column(column) => Transformed::yes(Expr::Column(
                datafusion::common::Column::new_unqualified(column.name),
            )),
            other => Transformed::no(other),
        })
    });
    changed.map_or_else(|_| filter.clone(), |changed| changed.data)
}

/// A name in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value that a statement yields.
#[derive(Debug, Clone)]
struct Item {
    sql: String,
    /// The column as it is stored, where `sql` converts it.
    raw: Option<(String, Stored)>,
    /// It already has the type in which it is sent.
    exact: bool,
    /// It is null in a row that an outer join adds.
    strict: bool,
}

impl Item {
    fn computed(sql: String) -> Self {
        Self {
            sql,
            raw: None,
            exact: false,
            strict: false,
        }
    }
}

/// A statement in the making.
#[derive(Debug, Default)]
struct Select {
    items: Vec<Item>,
    from: String,
    is_join: bool,
    filter: Vec<String>,
    /// `Some` once it aggregates, empty for one group of all rows.
    group: Option<Vec<String>>,
    distinct: bool,
    order: Vec<String>,
    limit: Option<usize>,
    offset: usize,
}

impl Select {
    /// Rows of tables, at most filtered.
    fn is_flat(&self) -> bool {
        self.group.is_none() && !self.distinct && !self.is_limited() && self.order.is_empty()
    }

    fn is_limited(&self) -> bool {
        self.limit.is_some() || self.offset > 0
    }

    fn project(&mut self, projection: Option<&Vec<usize>>) {
        if let Some(indices) = projection {
            self.items = indices
                .iter()
                .map(|&index| self.items[index].clone())
                .collect();
        }
    }

    fn render(&self, items: &[String]) -> String {
        let mut sql = String::from(if self.distinct {
            "SELECT DISTINCT"
        } else {
            "SELECT"
        });
        for (index, item) in items.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // Writing to a string can't fail; so below.
            let _ = write!(sql, "{comma} {item} AS c{index}");
        }
        let _ = write!(sql, " FROM {}", self.from);
        if !self.filter.is_empty() {
            let _ = write!(sql, " WHERE {}", self.filter.join(" AND "));
        }
        if let Some(group) = self.group.as_ref().filter(|group| !group.is_empty()) {
            let _ = write!(sql, " GROUP BY {}", group.join(", "));
        }
        if !self.order.is_empty() {
            let _ = write!(sql, " ORDER BY {}", self.order.join(", "));
        }
        if let Some(limit) = self.limit {
            let _ = write!(sql, " LIMIT {limit}");
        }
        if self.offset > 0 {
            let _ = write!(sql, " OFFSET {}", self.offset);
        }
        sql
    }

    fn inner(&self) -> String {
        let items: Vec<_> = self.items.iter().map(|item| item.sql.clone()).collect();
        self.render(&items)
    }

    /// The statement, with each column in the type in which it is sent.
    fn last(&self, types: &[&DataType]) -> Option<String> {
        let items = self
            .items
            .iter()
            .zip(types)
            .map(|(item, data_type)| {
                let wire = wire_type(data_type)?;
                Some(if item.exact {
                    item.sql.clone()
                } else {
                    format!("({})::{wire}", item.sql)
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(self.render(&items))
    }
}

/// What names in an expression stand for.
struct Scope<'a> {
    schema: &'a DFSchema,
    items: &'a [Item],
}

impl<'a> Scope<'a> {
    fn new(schema: &'a DFSchema, select: &'a Select) -> Self {
        Self {
            schema,
            items: &select.items,
        }
    }

    fn data_type(&self, expr: &Expr) -> Option<DataType> {
        expr.get_type(self.schema).ok()
    }
}

#[derive(Default)]
struct Translator {
    aliases: usize,
    tables: Vec<String>,
}

impl Translator {
    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// A statement around a statement.
    fn nest(&mut self, select: &Select) -> Select {
        let alias = self.alias();
        let items = select.items.iter().enumerate();
        Select {
            items: items
                .map(|(index, item)| Item {
                    sql: format!("{alias}.c{index}"),
                    raw: None,
                    exact: item.exact,
                    strict: true,
                })
                .collect(),
            from: format!("({}) AS {alias}", select.inner()),
            ..Select::default()
        }
    }

    fn flat(&mut self, select: Select) -> Select {
        if select.is_flat() {
            select
        } else {
            self.nest(&select)
        }
    }

    fn plan(&mut self, plan: &LogicalPlan) -> Option<Select> {
        match plan {
            LogicalPlan::TableScan(scan) => self.table_scan(scan),
            LogicalPlan::SubqueryAlias(alias) => self.plan(&alias.input),
            LogicalPlan::Filter(filter) => {
                let input = self.plan(&filter.input)?;
                let mut select = self.flat(input);
                let scope = Scope::new(filter.input.schema(), &select);
                let predicate = self.predicate(&filter.predicate, &scope)?;
                select.filter.push(predicate);
                Some(select)
            }
            LogicalPlan::Projection(projection) => {
                let input = self.plan(&projection.input)?;
                let mut select = if input.distinct {
                    self.nest(&input)
                } else {
                    input
                };
                let scope = Scope::new(projection.input.schema(), &select);
                let exprs = projection.expr.iter();
                select.items = exprs
                    .map(|expr| self.item(expr, &scope))
                    .collect::<Option<_>>()?;
                Some(select)
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let select = self.plan(input)?;
                let mut select = self.flat(select);
                select.distinct = true;
                Some(select)
            }
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Limit(limit) => {
                let mut select = self.plan(&limit.input)?;
                let (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) =
                    (limit.get_skip_type(), limit.get_fetch_type())
                else {
                    return None;
                };
                if select.is_limited() && skip > 0 {
                    // An order does not survive being wrapped.
                    return None;
                }
                select.offset += skip;
                select.limit = [select.limit, fetch].into_iter().flatten().min();
                Some(select)
            }
            LogicalPlan::Join(join) => self.join(join),
            _ => None,
        }
    }

    fn table(&mut self, table: &Table) -> Select {
        let alias = self.alias();
        self.tables.push(table.label.clone());
        let items = table.columns.iter().map(|column| {
            let raw = format!("{alias}.{}", quoted(&column.name));
            match column.stored.conversion(&raw) {
                Some(sql) => Item {
                    sql,
                    raw: Some((raw, column.stored)),
                    exact: true,
                    strict: true,
                },
                None => Item {
                    sql: raw,
                    raw: None,
                    exact: column.exact,
                    strict: true,
                },
            }
        });
        Select {
            items: items.collect(),
            from: format!("{} AS {alias}", table.relation),
            ..Select::default()
        }
    }

    fn table_scan(&mut self, scan: &TableScan) -> Option<Select> {
        let source = get_table_source(&scan.source).ok()??;
        let table = (source.as_ref() as &dyn Any).downcast_ref::<Table>()?;
        let mut select = self.table(table);
        let schema = DFSchema::try_from(table.schema.as_ref().clone()).ok()?;
        for filter in &scan.filters {
            let filter = self.predicate(&unqualified(filter), &Scope::new(&schema, &select))?;
            select.filter.push(filter);
        }
        select.project(scan.projection.as_ref());
        select.limit = scan.fetch;
        Some(select)
    }

    fn sort(&mut self, sort: &Sort) -> Option<Select> {
        let input = self.plan(&sort.input)?;
        let mut select = if input.distinct || input.is_limited() {
            self.nest(&input)
        } else {
            input
        };
        let scope = Scope::new(sort.input.schema(), &select);
        let order = sort.expr.iter().map(|expr| self.order(expr, &scope));
        select.order = order.collect::<Option<_>>()?;
        select.limit = sort.fetch;
        Some(select)
    }

    fn order(&mut self, sort: &SortExpr, scope: &Scope<'_>) -> Option<String> {
        let key = self.ordered(&sort.expr, scope)?;
        let direction = if sort.asc { "ASC" } else { "DESC" };
        let nulls = if sort.nulls_first { "FIRST" } else { "LAST" };
        Some(format!("{key} {direction} NULLS {nulls}"))
    }

    /// An expression that is compared by order.
    fn ordered(&mut self, expr: &Expr, scope: &Scope<'_>) -> Option<String> {
        let data_type = scope.data_type(expr)?;
        let sql = self.expr(expr, scope)?;
        match data_type {
            DataType::List(_) => None,
            _ if is_text(&data_type) => Some(format!("({sql} COLLATE \"C\")")),
            _ => Some(sql),
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Option<Select> {
        let input = self.plan(&aggregate.input)?;
        let mut select = self.flat(input);
        let scope = Scope::new(aggregate.input.schema(), &select);
        let mut items = Vec::new();
        let mut group = Vec::new();
        for expr in &aggregate.group_expr {
            let item = self.item(expr, &scope)?;
            group.push(item.sql.clone());
            items.push(item);
        }
        for expr in &aggregate.aggr_expr {
            let Expr::AggregateFunction(function) = expr.clone().unalias() else {
                return None;
            };
            let sql = self.aggregate_function(&function, &scope)?;
            items.push(Item::computed(sql));
        }
        select.items = items;
        select.group = Some(group);
        Some(select)
    }

    fn aggregate_function(
        &mut self,
        function: &AggregateFunction,
        scope: &Scope<'_>,
    ) -> Option<String> {
        let parameters = &function.params;
        let [argument] = parameters.args.as_slice() else {
            return None;
        };
        if !parameters.order_by.is_empty() || parameters.null_treatment.is_some() {
            return None;
        }
        let filter = match &parameters.filter {
            Some(filter) => format!(" FILTER (WHERE {})", self.predicate(filter, scope)?),
            None => String::new(),
        };
        let distinct = if parameters.distinct { "DISTINCT " } else { "" };
        let data_type = scope.data_type(argument)?;
        let name = function.func.name();
        if name == "count" {
            return Some(match argument {
                Expr::Literal(value, _) if !value.is_null() && !parameters.distinct => {
                    format!("count(*){filter}")
                }
                _ => format!("count({distinct}{}){filter}", self.expr(argument, scope)?),
            });
        }
        let value = self.expr(argument, scope)?;
        match (name, &data_type) {
            ("sum", DataType::Int16 | DataType::Int32 | DataType::Int64) => {
                Some(format!("(sum({distinct}{value}){filter})::int8"))
            }
            ("sum", DataType::Float64 | DataType::Decimal128(..)) | ("avg", DataType::Float64) => {
                Some(format!("{name}({distinct}{value}){filter}"))
            }
            ("avg", DataType::Decimal128(..)) => {
                let expr = Expr::AggregateFunction(function.clone());
                let DataType::Decimal128(_, scale) = scope.data_type(&expr)? else {
                    return None;
                };
                let scale = usize::try_from(scale).ok()?;
                // The quotient is cut off here, too. `avg` of PostgreSQL would round it at another
                // digit.
                Some(format!(
                    "(div(sum({distinct}{value}){filter} * 1{zeros}, \
                     nullif(count({distinct}{value}){filter}, 0)) * '1e-{scale}'::numeric)",
                    zeros = "0".repeat(scale),
                ))
            }
            ("min" | "max", _) if is_text(&data_type) => {
                Some(format!("{name}({value} COLLATE \"C\"){filter}"))
            }
            (
                "min" | "max",
                DataType::Int16
                | DataType::Int32
                | DataType::Int64
                | DataType::Float32
                | DataType::Float64
                | DataType::Decimal128(..)
                | DataType::Date32
                | DataType::Timestamp(..),
            ) => Some(format!("{name}({value}){filter}")),
            _ => None,
        }
    }

    fn join(&mut self, join: &Join) -> Option<Select> {
        if join.null_aware || (join.on.is_empty() && join.filter.is_none()) {
            return None;
        }
        let left = self.plan(&join.left)?;
        let right = self.plan(&join.right)?;
        let (keep_left, keep_right) = match join.join_type {
            JoinType::Inner | JoinType::LeftSemi | JoinType::LeftAnti => (true, true),
            JoinType::Left => (true, false),
            JoinType::Right => (false, true),
            _ => return None,
        };
        let mut left = self.side(left, keep_left);
        let mut right = self.side(right, keep_right);
        let schema = join.left.schema().join(join.right.schema()).ok()?;
        let count = left.items.len();
        let mut items = left.items.clone();
        items.append(&mut right.items.clone());
        let scope = Scope {
            schema: &schema,
            items: &items,
        };
        let condition = self.condition(join, &scope)?;
        let kind = match join.join_type {
            JoinType::Inner => "INNER JOIN",
            JoinType::Left => "LEFT JOIN",
            JoinType::Right => "RIGHT JOIN",
            JoinType::LeftSemi | JoinType::LeftAnti => {
                right.filter.push(condition);
                right.items.clear();
                let not = if join.join_type == JoinType::LeftAnti {
                    "NOT "
                } else {
                    ""
                };
                left.filter.push(format!("{not}EXISTS ({})", right.inner()));
                return Some(left);
            }
            _ => return None,
        };
        let mut conditions = vec![condition];
        let mut filter = Vec::new();
        for (side, keeps) in [(&mut left, keep_left), (&mut right, keep_right)] {
            // Rows of the other side stay when this side's filter refuses all partners.
            let place = if keeps { &mut filter } else { &mut conditions };
            place.append(&mut side.filter);
        }
        for (index, item) in items.iter_mut().enumerate() {
            let kept = if index < count { keep_left } else { keep_right };
            item.strict = item.strict && kept;
        }
        Some(Select {
            items,
            from: format!(
                "{} {kind} {} ON {}",
                left.from,
                parenthesised(&right),
                conditions.join(" AND ")
            ),
            is_join: true,
            filter,
            ..Select::default()
        })
    }

    /// One side of a join. `keeps`: the join adds no rows in which all of its columns are null.
    fn side(&mut self, select: Select, keeps: bool) -> Select {
        let select = self.flat(select);
        let nullable = !keeps && (select.is_join || select.items.iter().any(|item| !item.strict));
        if nullable { self.nest(&select) } else { select }
    }

    fn condition(&mut self, join: &Join, scope: &Scope<'_>) -> Option<String> {
        let mut conditions = Vec::new();
        let operator = match join.null_equality {
            NullEquality::NullEqualsNothing => Operator::Eq,
            NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
        };
        for (left, right) in &join.on {
            conditions.push(self.comparison(left, operator, right, scope)?);
        }
        if let Some(filter) = &join.filter {
            conditions.push(self.predicate(filter, scope)?);
        }
        Some(conditions.join(" AND "))
    }

    fn item(&mut self, expr: &Expr, scope: &Scope<'_>) -> Option<Item> {
        match expr {
            Expr::Alias(alias) => self.item(&alias.expr, scope),
            Expr::Column(column) => {
                let index = scope.schema.maybe_index_of_column(column)?;
                scope.items.get(index).cloned()
            }
            _ => Some(Item::computed(self.expr(expr, scope)?)),
        }
    }

    fn predicate(&mut self, expr: &Expr, scope: &Scope<'_>) -> Option<String> {
        match scope.data_type(expr)? {
            DataType::Boolean => self.expr(expr, scope),
            _ => None,
        }
    }

    fn expr(&mut self, expr: &Expr, scope: &Scope<'_>) -> Option<String> {
        match expr {
            Expr::Alias(_) | Expr::Column(_) => Some(self.item(expr, scope)?.sql),
            Expr::Literal(value, _) => literal(value),
            Expr::BinaryExpr(binary) => self.binary(binary, scope),
            Expr::Not(inner) => Some(format!("(NOT {})", self.predicate(inner, scope)?)),
            Expr::IsNull(inner) => Some(format!("({} IS NULL)", self.stored(inner, scope)?)),
            Expr::IsNotNull(inner) => Some(format!("({} IS NOT NULL)", self.stored(inner, scope)?)),
            Expr::IsTrue(inner) => self.test(inner, "IS TRUE", scope),
            Expr::IsFalse(inner) => self.test(inner, "IS FALSE", scope),
            Expr::IsUnknown(inner) => self.test(inner, "IS UNKNOWN", scope),
            Expr::IsNotTrue(inner) => self.test(inner, "IS NOT TRUE", scope),
            Expr::IsNotFalse(inner) => self.test(inner, "IS NOT FALSE", scope),
            Expr::IsNotUnknown(inner) => self.test(inner, "IS NOT UNKNOWN", scope),
            Expr::Between(between) => {
                let low = self.comparison(&between.expr, Operator::GtEq, &between.low, scope)?;
                let high = self.comparison(&between.expr, Operator::LtEq, &between.high, scope)?;
                let not = if between.negated { "NOT " } else { "" };
                Some(format!("({not}({low} AND {high}))"))
            }
            Expr::InList(list) => self.in_list(list, scope),
            Expr::Like(like) => self.like(like, scope),
            Expr::Case(case) => self.case(case, scope),
            Expr::Cast(cast) => self.cast(cast, scope),
            Expr::ScalarFunction(function) => match arithmetic(function) {
                Some(binary) => self.arithmetic(&binary, scope),
                None => self.function(function, scope),
            },
            _ => None,
        }
    }

    /// The column as it is stored, whatever its type.
    fn stored(&mut self, expr: &Expr, scope: &Scope<'_>) -> Option<String> {
        if let Expr::Column(_) = expr {
            let item = self.item(expr, scope)?;
            return Some(item.raw.map_or(item.sql, |(raw, _)| raw));
        }
        self.expr(expr, scope)
    }

    fn test(&mut self, expr: &Expr, test: &str, scope: &Scope<'_>) -> Option<String> {
        Some(format!("({} {test})", self.predicate(expr, scope)?))
    }

    fn binary(&mut self, binary: &BinaryExpr, scope: &Scope<'_>) -> Option<String> {
        let BinaryExpr { left, op, right } = binary;
        match op {
            Operator::And | Operator::Or => {
                let word = if *op == Operator::And { "AND" } else { "OR" };
                let left = self.predicate(left, scope)?;
                let right = self.predicate(right, scope)?;
                Some(format!("({left} {word} {right})"))
            }
            Operator::Plus | Operator::Minus | Operator::Multiply => self.arithmetic(binary, scope),
            _ => self.comparison(left, *op, right, scope),
        }
    }

    fn comparison(
        &mut self,
        left: &Expr,
        operator: Operator,
        right: &Expr,
        scope: &Scope<'_>,
    ) -> Option<String> {
        let word = match operator {
            Operator::Eq => "=",
            Operator::NotEq => "<>",
            Operator::Lt => "<",
            Operator::LtEq => "<=",
            Operator::Gt => ">",
            Operator::GtEq => ">=",
            Operator::IsDistinctFrom => "IS DISTINCT FROM",
            Operator::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
            _ => return None,
        };
        let (left_type, right_type) = (scope.data_type(left)?, scope.data_type(right)?);
        if !comparable(&left_type, &right_type) {
            return None;
        }
        let equality = matches!(operator, Operator::Eq | Operator::NotEq);
        if let Some(sql) = self.stored_comparison(left, word, right, equality, scope) {
            return Some(sql);
        }
        // Two columns may have two collations, and PostgreSQL refuses to choose. Equal texts are
        // equal in both, so a value that we write needs none and indexes can be used.
        let simple =
            equality && (matches!(left, Expr::Literal(..)) || matches!(right, Expr::Literal(..)));
        let (left, right) = if simple {
            (self.expr(left, scope)?, self.expr(right, scope)?)
        } else {
            (self.ordered(left, scope)?, self.ordered(right, scope)?)
        };
        Some(format!("({left} {word} {right})"))
    }

    /// Compares a column that is converted on reading in the type that it is stored in, so that
    /// an index can be used.
    fn stored_comparison(
        &mut self,
        left: &Expr,
        word: &str,
        right: &Expr,
        equality: bool,
        scope: &Scope<'_>,
    ) -> Option<String> {
        let (column, value) = match (left, right) {
            (Expr::Column(_), Expr::Literal(value, _)) => (left, value),
            _ => return None,
        };
        let (raw, stored) = self.item(column, scope)?.raw?;
        let value = stored.literal(value, equality)?;
        Some(format!("({raw} {word} {value})"))
    }

    fn arithmetic(&mut self, binary: &BinaryExpr, scope: &Scope<'_>) -> Option<String> {
        let BinaryExpr { left, op, right } = binary;
        let types = (scope.data_type(left)?, scope.data_type(right)?);
        let result = scope.data_type(&Expr::BinaryExpr(binary.clone()))?;
        let same = match (&types.0, &types.1, &result) {
            (DataType::Int32, DataType::Int32, DataType::Int32)
            | (DataType::Int64, DataType::Int64, DataType::Int64)
            | (DataType::Float64, DataType::Float64, DataType::Float64) => true,
            // Only where nothing is rounded for want of digits.
            (
                DataType::Decimal128(_, left),
                DataType::Decimal128(_, right),
                DataType::Decimal128(_, scale),
            ) => {
                *scale
                    == match op {
                        Operator::Multiply => left + right,
                        _ => *left.max(right),
                    }
            }
            _ => false,
        };
        if !same {
            return None;
        }
        let sign = match op {
            Operator::Plus => "+",
            Operator::Minus => "-",
            _ => "*",
        };
        let left = self.expr(left, scope)?;
        let right = self.expr(right, scope)?;
        Some(format!("({left} {sign} {right})"))
    }

    fn in_list(&mut self, list: &InList, scope: &Scope<'_>) -> Option<String> {
        let data_type = scope.data_type(&list.expr)?;
        let not = if list.negated { "NOT " } else { "" };
        let raw = match list.expr.as_ref() {
            Expr::Column(_) => self.item(&list.expr, scope)?.raw,
            _ => None,
        };
        if let Some((raw, stored)) = raw {
            let values = list.list.iter().map(|value| match value {
                Expr::Literal(value, _) => stored.literal(value, true),
                _ => None,
            });
            if let Some(values) = values.collect::<Option<Vec<_>>>() {
                return Some(format!("({raw} {not}IN ({}))", values.join(", ")));
            }
        }
        let values = list.list.iter().map(|value| {
            let Expr::Literal(value, _) = value else {
                return None;
            };
            comparable(&data_type, &value.data_type()).then(|| literal(value))?
        });
        let values = values.collect::<Option<Vec<_>>>()?;
        if values.is_empty() {
            return None;
        }
        let value = self.expr(&list.expr, scope)?;
        Some(format!("({value} {not}IN ({}))", values.join(", ")))
    }

    fn like(&mut self, like: &Like, scope: &Scope<'_>) -> Option<String> {
        let Expr::Literal(value, _) = like.pattern.as_ref() else {
            return None;
        };
        let pattern = value.try_as_str()??;
        // Case means something else in each locale; a lone `\` at the end is an error there.
        if like.case_insensitive || like.escape_char.is_some() || pattern.contains('\\') {
            return None;
        }
        if !is_text(&scope.data_type(&like.expr)?) {
            return None;
        }
        let not = if like.negated { "NOT " } else { "" };
        let value = self.expr(&like.expr, scope)?;
        let pattern = literal(&ScalarValue::from(pattern))?;
        Some(format!("({value} {not}LIKE {pattern})"))
    }

    fn case(&mut self, case: &Case, scope: &Scope<'_>) -> Option<String> {
        if case.expr.is_some() {
            return None;
        }
        let mut sql = String::from("(CASE");
        for (when, then) in &case.when_then_expr {
            let when = self.predicate(when, scope)?;
            let then = self.expr(then, scope)?;
            let _ = write!(sql, " WHEN {when} THEN {then}");
        }
        if let Some(other) = &case.else_expr {
            let _ = write!(sql, " ELSE {}", self.expr(other, scope)?);
        }
        sql.push_str(" END)");
        Some(sql)
    }

    fn cast(&mut self, cast: &Cast, scope: &Scope<'_>) -> Option<String> {
        let from = scope.data_type(&cast.expr)?;
        let to = cast.field.data_type();
        let value = self.expr(&cast.expr, scope)?;
        if is_text(&from) && is_text(to) {
            return Some(value);
        }
        if let (DataType::Timestamp(_, from), DataType::Timestamp(_, to)) = (&from, to) {
            return (is_utc(from.as_ref()) == is_utc(to.as_ref())
                && from.is_some() == to.is_some())
            .then_some(value);
        }
        widens(&from, to).then_some(())?;
        Some(format!("({value})::{}", wire_type(to)?))
    }

    fn function(&mut self, function: &ScalarFunction, scope: &Scope<'_>) -> Option<String> {
        match (function.func.name(), function.args.as_slice()) {
            ("date_trunc", [Expr::Literal(unit, _), value]) => {
                let unit = unit.try_as_str()??.to_ascii_lowercase();
                let known = [
                    "second", "minute", "hour", "day", "week", "month", "quarter", "year",
                ];
                let is_time = matches!(
                    scope.data_type(value)?,
                    DataType::Timestamp(TimeUnit::Microsecond, _)
                );
                if !known.contains(&unit.as_str()) || !is_time {
                    return None;
                }
                Some(format!(
                    "date_trunc('{unit}', {})",
                    self.expr(value, scope)?
                ))
            }
            ("coalesce", args) => {
                let types = args.iter().map(|arg| scope.data_type(arg));
                let types = types.collect::<Option<Vec<_>>>()?;
                if types.windows(2).any(|pair| !comparable(&pair[0], &pair[1])) {
                    return None;
                }
                let args = args.iter().map(|arg| self.expr(arg, scope));
                let args = args.collect::<Option<Vec<_>>>()?;
                Some(format!("coalesce({})", args.join(", ")))
            }
            ("abs", [value]) => match scope.data_type(value)? {
                DataType::Float64 | DataType::Decimal128(..) => {
                    Some(format!("abs({})", self.expr(value, scope)?))
                }
                _ => None,
            },
            ("starts_with", [value, prefix @ Expr::Literal(..)]) => {
                let value = self.expr(value, scope)?;
                Some(format!(
                    "starts_with({value}, {})",
                    self.expr(prefix, scope)?
                ))
            }
            _ => None,
        }
    }
}

fn parenthesised(select: &Select) -> String {
    if select.is_join {
        format!("({})", select.from)
    } else {
        select.from.clone()
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn is_utc(zone: Option<&std::sync::Arc<str>>) -> bool {
    matches!(zone.map(AsRef::as_ref), Some("UTC" | "+00:00"))
}

/// Whether values of both types compare in PostgreSQL as they do here.
fn comparable(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::Timestamp(_, left), DataType::Timestamp(_, right)) => {
            left.is_some() == right.is_some() && is_utc(left.as_ref()) == is_utc(right.as_ref())
        }
        (DataType::Decimal128(..), DataType::Decimal128(..)) => true,
        (DataType::List(_), _) => false,
        _ => (is_text(left) && is_text(right)) || left == right,
    }
}

/// Casts that lose nothing.
fn widens(from: &DataType, to: &DataType) -> bool {
    let digits = |data_type: &DataType| match data_type {
        DataType::Int16 => Some(5),
        DataType::Int32 => Some(10),
        DataType::Int64 => Some(19),
        _ => None,
    };
    match (from, to) {
        (DataType::Int16, DataType::Int32 | DataType::Int64 | DataType::Float64)
        | (DataType::Int32, DataType::Int64 | DataType::Float64)
        | (DataType::Int64 | DataType::Float32 | DataType::Decimal128(..), DataType::Float64) => {
            true
        }
        (DataType::Decimal128(p, s), DataType::Decimal128(precision, scale)) => {
            scale >= s && i16::from(*precision) - i16::from(*scale) >= i16::from(*p) - i16::from(*s)
        }
        (_, DataType::Decimal128(precision, scale)) => {
            digits(from).is_some_and(|digits| i16::from(*precision) - i16::from(*scale) >= digits)
        }
        (DataType::Date32, DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
            zone.is_none() || is_utc(zone.as_ref())
        }
        _ => false,
    }
}
