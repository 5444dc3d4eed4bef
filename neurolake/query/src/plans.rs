//! Plans that are kept, so that a statement that comes again is not planned again.
//!
//! A kept plan is optimized, and knows its tables by name and columns only. Whoever runs it opens them
//! anew, each at one version, as every statement does, and puts in the values of its parameters. It is
//! planned afresh where a table has other columns by then, or can't be trusted with a filter any more.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Weak};

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, TableReference, internal_datafusion_err};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, LogicalPlan, TableProviderFilterPushDown, TableScan, TableSource,
};
use datafusion::optimizer::Optimizer;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use neurolake_delta::At;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::access::Access;
use crate::inputs::is_repeatable;
use crate::lake::{Given, Scope};
use crate::semantics;

/// What all kept plans take, about.
const BYTES: u64 = 32 << 20;
/// The part of it that one plan may take.
const SHARE: u64 = 16;
/// A longer statement is hardly written twice.
const LONGEST: usize = 16 << 10;

/// Where a session finds one of its tables.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) database: String,
    pub(crate) table: String,
    pub(crate) at: Option<At>,
    /// For a view that reads with all rights.
    pub(crate) has_all_rights: bool,
}

impl Place {
    async fn open(&self, scope: &Scope) -> Option<Arc<dyn TableProvider>> {
        let all;
        let scope = if self.has_all_rights {
            all = scope.with_all_rights();
            &all
        } else {
            scope
        };
        let provider = scope.provider(&self.database, &self.table, self.at.as_ref());
        provider.await.ok()
    }
}

/// All that decides about the plan of a statement, besides its tables.
#[derive(Clone)]
pub(crate) struct Question {
    access: Arc<Access>,
    text: Arc<str>,
    /// Of its parameters.
    types: Arc<[(String, DataType)]>,
}

impl Question {
    /// `dialect` tells apart ways to read a text. `None`: nothing is kept for it.
    pub(crate) fn new(
        scope: &Scope,
        dialect: &str,
        sql: &str,
        values: Option<&ParamValues>,
    ) -> Option<Self> {
        if sql.len() > LONGEST {
            return None;
        }
        let type_of = |value: &ScalarAndMetadata| value.value().data_type();
        let mut types: Vec<(String, DataType)> = match values {
            None => Vec::new(),
            Some(ParamValues::List(values)) => (1..)
                .zip(values)
                .map(|(number, value)| (format!("${number}"), type_of(value)))
                .collect(),
            Some(ParamValues::Map(values)) => values
                .iter()
                .map(|(name, value)| (format!("${name}"), type_of(value)))
                .collect(),
        };
        types.sort_by(|one, other| one.0.cmp(&other.0));
        Some(Self {
            access: Arc::clone(&scope.access),
            text: format!("{dialect}\0{types:?}\0{sql}").into(),
            types: types.into(),
        })
    }

    /// As long as the plan is kept, nothing else gets the address of the role.
    fn key(&self) -> Key {
        Key(Arc::as_ptr(&self.access) as usize, Arc::clone(&self.text))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key(usize, Arc<str>);

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Kept>> for Weight {
    fn weight(&self, key: &Key, kept: &Arc<Kept>) -> u64 {
        kept.bytes + key.1.len() as u64
    }
}

/// A plan without its tables and values.
pub(crate) struct Kept {
    plan: LogicalPlan,
    /// All tables that were there when it was planned, also those that it has no need of, with their
    /// columns. By [`Unopened::number`].
    places: Vec<(Place, SchemaRef)>,
    /// As `database.table`, as the statement names them.
    tables: Vec<String>,
    has_parameters: bool,
    bytes: u64,
    _access: Weak<Access>,
}

/// A plan that can be run as it is.
pub(crate) struct Ready {
    /// Optimized.
    pub(crate) plan: LogicalPlan,
    /// As `database.table`.
    pub(crate) tables: Vec<String>,
    /// Whether it was planned for an earlier statement.
    pub(crate) is_kept: bool,
}

/// The plans of all sessions.
pub(crate) struct Plans(Cache<Key, Arc<Kept>, Weight>);

impl Default for Plans {
    fn default() -> Self {
        Self(Cache::with_weighter(1024, BYTES, Weight))
    }
}

impl Plans {
    /// The plan for a statement that was asked before, over the tables of this session.
    pub(crate) async fn find(
        &self,
        scope: &Scope,
        state: &SessionState,
        question: &Question,
        values: Option<&ParamValues>,
    ) -> Option<Ready> {
        let kept = self.0.get(&question.key())?;
        kept.ready(scope, state, values).await
    }

    /// Optimizes a plan before its values are known, and keeps it. `None`: it can't be kept.
    pub(crate) async fn keep(
        &self,
        scope: &Scope,
        state: &SessionState,
        question: &Question,
        (plan, tables): (&LogicalPlan, &[String]),
        values: Option<&ParamValues>,
    ) -> Option<Ready> {
        let kept = Kept::new(scope, state, question, plan, tables)?;
        let kept = Arc::new(kept);
        let ready = kept.ready(scope, state, values).await?;
        self.0.insert(question.key(), kept);
        Some(Ready {
            is_kept: false,
            ..ready
        })
    }
}

impl Kept {
    fn new(
        scope: &Scope,
        state: &SessionState,
        question: &Question,
        plan: &LogicalPlan,
        tables: &[String],
    ) -> Option<Self> {
        let names = plan.get_parameter_names().ok()?;
        let known: HashSet<&String> = question.types.iter().map(|(name, _)| name).collect();
        if !is_repeatable(plan) || !names.iter().all(|name| known.contains(name)) {
            return None;
        }
        let has_parameters = !names.is_empty();
        // Before the work of optimizing it.
        if !can_be_kept(scope, plan, has_parameters) {
            return None;
        }
        let places = places(scope, plan)?;
        let typed = match has_parameters {
            true => typed(plan.clone(), &question.types).ok()?,
            false => plan.clone(),
        };
        let plan = state.optimize(&typed).ok()?;
        if !can_be_kept(scope, &plan, has_parameters) {
            return None;
        }
        let plan = plan.transform_down_with_subqueries(|node| {
            let LogicalPlan::TableScan(scan) = node else {
                return Ok(Transformed::no(node));
            };
            let place = given(scope, &scan).map(|given| given.place);
            let number = places
                .iter()
                .position(|(known, _)| place.as_ref() == Some(known));
            let source = Arc::new(Unopened {
                schema: scan.source.schema(),
                number: number.ok_or_else(|| internal_datafusion_err!("an unknown table"))?,
                exact: exact(scan.source.as_ref(), &scan.filters)?,
            });
            Ok(Transformed::yes(LogicalPlan::TableScan(TableScan {
                source,
                ..scan
            })))
        });
        let plan = plan.ok()?.data;
        let bytes = bytes(&plan);
        (bytes <= BYTES / SHARE).then(|| Self {
            plan,
            bytes,
            places,
            tables: tables.to_vec(),
            has_parameters,
            _access: Arc::downgrade(&question.access),
        })
    }

    /// The plan with the tables of a session, and with values.
    async fn ready(
        &self,
        scope: &Scope,
        state: &SessionState,
        values: Option<&ParamValues>,
    ) -> Option<Ready> {
        let mut providers = Vec::with_capacity(self.places.len());
        for (place, schema) in &self.places {
            // What is wrong with a table is for a new plan to say.
            let provider = place.open(scope).await?;
            if !is_same(&provider.schema(), schema) {
                return None;
            }
            providers.push(provider);
        }
        let values = values.filter(|_| self.has_parameters);
        let plan = self.filled(&providers, values).ok()??;
        let plan = match values {
            // Conditions on values that are known by now become simple ones.
            Some(_) => Optimizer::with_rules(vec![Arc::new(SimplifyExpressions::new())])
                .optimize(plan, state, |_, _| {})
                .ok()?,
            None => plan,
        };
        Some(Ready {
            plan,
            tables: self.tables.clone(),
            is_kept: true,
        })
    }

    /// `None`: a table is not what it was.
    fn filled(
        &self,
        providers: &[Arc<dyn TableProvider>],
        values: Option<&ParamValues>,
    ) -> DataFusionResult<Option<LogicalPlan>> {
        let mut is_same = true;
        let plan = self.plan.clone().transform_down_with_subqueries(|node| {
            let node = match node {
                LogicalPlan::TableScan(scan) => {
                    let provider = scan.source.downcast_ref::<Unopened>();
                    let opened = provider.and_then(|unopened| {
                        let source = provider_as_source(Arc::clone(&providers[unopened.number]));
                        unopened
                            .is(source.as_ref(), &scan.filters)
                            .then_some(source)
                    });
                    let Some(source) = opened else {
                        is_same = false;
                        return Ok(Transformed::new(
                            LogicalPlan::TableScan(scan),
                            false,
                            TreeNodeRecursion::Stop,
                        ));
                    };
                    LogicalPlan::TableScan(TableScan { source, ..scan })
                }
                node => node,
            };
            let node = match values {
                Some(values) => with_values(node, values)?,
                None => node,
            };
            Ok(Transformed::yes(node))
        })?;
        Ok(is_same.then_some(plan.data))
    }
}

/// Puts values in the place of parameters. Types and names stay as they are.
fn with_values(node: LogicalPlan, values: &ParamValues) -> DataFusionResult<LogicalPlan> {
    let names = NamePreserver::new(&node);
    let node = node.map_expressions(|expression| {
        let name = names.save(&expression);
        let changed = expression.transform_up(|expression| match expression {
            Expr::Placeholder(Placeholder { id, .. }) => {
                let (value, metadata) = values.get_placeholders_with_values(&id)?.into_inner();
                Ok(Transformed::yes(Expr::Literal(value, metadata)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(match changed.transformed {
            true => changed.update_data(|expression| name.restore(expression)),
            false => changed,
        })
    })?;
    Ok(node.data)
}

/// The plan with each parameter of the type of its value.
pub(crate) fn typed(
    plan: LogicalPlan,
    types: &[(String, DataType)],
) -> DataFusionResult<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let changed = expression.transform_up(|expression| {
                let Expr::Placeholder(Placeholder { id, .. }) = expression else {
                    return Ok(Transformed::no(expression));
                };
                let known = types.iter().find(|(name, _)| *name == id);
                let field = known.map(|(_, known)| Arc::new(Field::new(&id, known.clone(), true)));
                let placeholder = Placeholder::new_with_field(id, field);
                Ok(Transformed::yes(Expr::Placeholder(placeholder)))
            })?;
            Ok(match changed.transformed {
                true => changed.update_data(|expression| name.restore(expression)),
                false => changed,
            })
        })?
        .map_data(LogicalPlan::recompute_schema)
    })?;
    semantics::apply_typed(plan.data)
}

/// The table of a scan, as far as it is one of the lake's.
fn given(scope: &Scope, scan: &TableScan) -> Option<Given> {
    let provider = source_as_provider(&scan.source).ok()?;
    scope.pins.given_as(&provider)
}

fn is_same(one: &SchemaRef, other: &SchemaRef) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// The tables of a plan, each once.
fn places(scope: &Scope, plan: &LogicalPlan) -> Option<Vec<(Place, SchemaRef)>> {
    let mut places: Vec<(Place, SchemaRef)> = Vec::new();
    let visited = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(Given { place, .. }) = given(scope, scan)
            && !places.iter().any(|(known, _)| *known == place)
        {
            places.push((place, scan.source.schema()));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.is_ok().then_some(places)
}

/// Whether nothing but tables of the lake is read. The arguments of other functions of tables are
/// computed while they are planned, `now()` too.
pub(crate) fn reads_only_tables(scope: &Scope, plan: &LogicalPlan) -> bool {
    let mut is_so = true;
    let visited = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            is_so &= given(scope, scan).is_some();
        }
        Ok(TreeNodeRecursion::Continue)
    });
    is_so && visited.is_ok()
}

/// Whether columns and filters say all about how a table is read.
fn can_wait(scope: &Scope, given: &Given, has_parameters: bool) -> bool {
    if given.is_guarded {
        // Whether a condition meets hidden rows is decided by how it is written.
        return !has_parameters;
    }
    let Place {
        database, table, ..
    } = &given.place;
    let source = scope.shared.tables.find(database, table);
    source.is_ok_and(|source| source.has_versions())
}

/// Whether a plan depends on its tables by their columns and filters only.
fn can_be_kept(scope: &Scope, plan: &LogicalPlan, has_parameters: bool) -> bool {
    let mut can_be_kept = true;
    let visited = plan.apply_with_subqueries(|node| {
        can_be_kept &= match node {
            LogicalPlan::TableScan(scan) => {
                given(scope, scan).is_some_and(|given| can_wait(scope, &given, has_parameters))
            }
            // How much is read is decided by it.
            LogicalPlan::Limit(limit) => {
                let mut counts = [&limit.skip, &limit.fetch].into_iter().flatten();
                counts.all(|count| matches!(count.as_ref(), Expr::Literal(..)))
            }
            LogicalPlan::Subquery(subquery) => {
                !has_parameters || subquery.outer_ref_columns.is_empty()
            }
            // Their types come from what they hold.
            LogicalPlan::Values(_) => !has_parameters,
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Unnest(_) => true,
            _ => false,
        };
        if has_parameters {
            for expression in node.expressions() {
                can_be_kept &= can_wait_for_values(&expression)?;
            }
        }
        Ok(match can_be_kept {
            true => TreeNodeRecursion::Continue,
            false => TreeNodeRecursion::Stop,
        })
    });
    can_be_kept && visited.is_ok()
}

/// Whether it is planned the same with any values.
fn can_wait_for_values(expression: &Expr) -> DataFusionResult<bool> {
    let is_obstacle = |expression: &Expr| {
        Ok(match expression {
            // What it is over no rows is found out while it becomes a join.
            Expr::ScalarSubquery(subquery) => !subquery.outer_ref_columns.is_empty(),
            Expr::InSubquery(found) => !found.subquery.outer_ref_columns.is_empty(),
            Expr::Exists(found) => !found.subquery.outer_ref_columns.is_empty(),
            // Its type may depend on a value, as that of `round(x, 2)` does.
            Expr::ScalarFunction(call) if semantics::arithmetic(call).is_none() => {
                let mut has_placeholder = false;
                for argument in &call.args {
                    has_placeholder |=
                        argument.exists(|inner| Ok(matches!(inner, Expr::Placeholder(_))))?;
                }
                has_placeholder
            }
            _ => false,
        })
    };
    Ok(!expression.exists(is_obstacle)?)
}

/// What a plan takes, about: most are its columns, in each of its nodes, and its expressions.
fn bytes(plan: &LogicalPlan) -> u64 {
    let mut bytes = 0;
    // It only fails where the closure does.
    let _ = plan.apply_with_subqueries(|node| {
        let mut fields = node.schema().fields().len();
        if let LogicalPlan::TableScan(scan) = node {
            fields += scan.source.schema().fields().len();
        }
        bytes += size_of::<LogicalPlan>() + fields * size_of::<(TableReference, Field)>();
        for expression in node.expressions() {
            expression.apply(|_| {
                bytes += size_of::<Expr>();
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    });
    bytes as u64
}

/// For each filter, whether the table promises that no row comes back which doesn't match.
fn exact(source: &dyn TableSource, filters: &[Expr]) -> DataFusionResult<Vec<bool>> {
    let filters: Vec<&Expr> = filters.iter().collect();
    let support = source.supports_filters_pushdown(&filters)?;
    let is_exact = |support| support == TableProviderFilterPushDown::Exact;
    Ok(support.into_iter().map(is_exact).collect())
}

/// The place of a table in a plan.
struct Unopened {
    schema: SchemaRef,
    number: usize,
    /// Filters that nobody looks at again.
    exact: Vec<bool>,
}

impl Unopened {
    /// Whether a table can take the place.
    fn is(&self, source: &dyn TableSource, filters: &[Expr]) -> bool {
        is_same(&source.schema(), &self.schema)
            && exact(source, filters).is_ok_and(|exact| exact == self.exact)
    }
}

impl TableSource for Unopened {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl fmt::Debug for Plans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plans").finish_non_exhaustive()
    }
}
