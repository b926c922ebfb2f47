//! What sqlparser's tree of a query may have in it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query,
    Select, SelectFlavor, SetExpr, Statement, TableFactor, UnaryOperator, Visit, Visitor,
};

use super::read::Reason;
use super::{calls, functions};

/// Functions that are written without parentheses.
const BARE: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "system_user",
    "user",
];

/// Walks the whole tree. Gives the names of the common table expressions that name their columns.
///
/// # Errors
/// What in it is not known to read.
pub(super) fn reads(query: &Query) -> Result<Vec<String>, Reason> {
    let mut walk = Walk { with_columns: Vec::new() };
    match query.visit(&mut walk) {
        ControlFlow::Continue(()) => Ok(walk.with_columns),
        ControlFlow::Break(reason) => Err(*reason),
    }
}

struct Walk {
    with_columns: Vec<String>,
}

type Step = ControlFlow<Box<Reason>>;

fn stop(reason: Reason) -> Step {
    ControlFlow::Break(Box::new(reason))
}

fn foreign() -> Step {
    stop(Reason::unknown("it is not PostgreSQL's language"))
}

/// What PostgreSQL makes of a name.
fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

fn call(name: &ObjectName) -> Step {
    let parts: Option<Vec<String>> = name
        .0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Some(folded(ident)),
            ObjectNamePart::Function(_) => None,
        })
        .collect();
    let Some(parts) = parts else { return foreign() };
    let path: Vec<&str> = parts.iter().map(String::as_str).collect();
    if let [ObjectNamePart::Identifier(Ident { quote_style: None, .. })] = name.0.as_slice()
        && (functions::SYNTAX.contains(&path[0]) || calls::CLOCKS.contains(&path[0]))
    {
        return ControlFlow::Continue(());
    }
    match functions::reads(&path) || path == ["set_config"] || path == ["pg_catalog", "set_config"]
    {
        true => ControlFlow::Continue(()),
        false => stop(functions::refusal(&path)),
    }
}

fn function(function: &Function) -> Step {
    let Function { name, uses_odbc_syntax, parameters, args, .. } = function;
    if *uses_odbc_syntax || !matches!(parameters, FunctionArguments::None) {
        return foreign();
    }
    match (args, name.0.as_slice()) {
        (FunctionArguments::None, [ObjectNamePart::Identifier(ident)]) => {
            match ident.quote_style.is_none() && BARE.contains(&folded(ident).as_str()) {
                true => ControlFlow::Continue(()),
                false => foreign(),
            }
        }
        (FunctionArguments::None, _) => foreign(),
        (FunctionArguments::Subquery(_), [ObjectNamePart::Identifier(ident)])
            if ident.quote_style.is_none() && folded(ident) == "array" =>
        {
            ControlFlow::Continue(())
        }
        (FunctionArguments::Subquery(_), _) => foreign(),
        _ => call(name),
    }
}

fn operator(operator: &BinaryOperator) -> Step {
    match operator {
        BinaryOperator::PGCustomBinaryOperator(path)
            if path.len() > 1 && !path[0].eq_ignore_ascii_case("pg_catalog") =>
        {
            stop(Reason::fixed("only operators of pg_catalog are known to read"))
        }
        _ => ControlFlow::Continue(()),
    }
}

impl Visitor for Walk {
    type Break = Box<Reason>;

    fn pre_visit_query(&mut self, query: &Query) -> Step {
        let Query {
            with, body, locks, for_clause, settings, format_clause, pipe_operators, ..
        } = query;
        if !locks.is_empty() {
            return stop(Reason::fixed(
                "SELECT FOR UPDATE, FOR SHARE and the like lock rows, which writes to them",
            ));
        }
        if for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty()
        {
            return foreign();
        }
        if matches!(
            **body,
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        ) {
            return stop(Reason::fixed("INSERT, UPDATE, DELETE and MERGE within WITH write"));
        }
        for table in with.iter().flat_map(|with| &with.cte_tables) {
            if !table.alias.columns.is_empty() {
                self.with_columns.push(folded(&table.alias.name));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, _: &Statement) -> Step {
        stop(Reason::fixed("INSERT, UPDATE, DELETE and MERGE within WITH write"))
    }

    fn pre_visit_select(&mut self, select: &Select) -> Step {
        if select.into.is_some() {
            return stop(Reason::fixed("SELECT INTO creates a table"));
        }
        let foreign_words = select.top.is_some()
            || select.select_modifiers.as_ref().is_some_and(|modifiers| modifiers.is_any_set())
            || select.exclude.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.qualify.is_some()
            || select.value_table_mode.is_some()
            || select.flavor != SelectFlavor::Standard;
        if foreign_words { foreign() } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Step {
        match factor {
            TableFactor::Table {
                name,
                args,
                with_hints,
                version,
                partitions,
                json_path,
                index_hints,
                ..
            } => {
                if !with_hints.is_empty()
                    || version.is_some()
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_hints.is_empty()
                {
                    return foreign();
                }
                match args {
                    Some(args) if args.settings.is_some() => foreign(),
                    Some(_) => call(name),
                    None => ControlFlow::Continue(()),
                }
            }
            TableFactor::Function { name, .. } => call(name),
            TableFactor::Derived { .. }
            | TableFactor::UNNEST { with_offset: false, with_offset_alias: None, .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::XmlTable { .. } => ControlFlow::Continue(()),
            _ => foreign(),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Step {
        match expr {
            Expr::Function(called) => function(called),
            Expr::BinaryOp { op, .. } => operator(op),
            Expr::AnyOp { compare_op, .. } | Expr::AllOp { compare_op, .. } => operator(compare_op),
            Expr::UnaryOp { op: UnaryOperator::BangNot, .. }
            | Expr::JsonAccess { .. }
            | Expr::RLike { .. }
            | Expr::Convert { .. }
            | Expr::Prefixed { .. }
            | Expr::Struct { .. }
            | Expr::Dictionary(_)
            | Expr::Map(_)
            | Expr::MatchAgainst { .. }
            | Expr::OuterJoin(_)
            | Expr::Prior(_)
            | Expr::Lambda(_)
            | Expr::MemberOf(_) => foreign(),
            _ => ControlFlow::Continue(()),
        }
    }
}
