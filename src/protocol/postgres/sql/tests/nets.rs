//! The tree and the tokens each stop calls by themselves.

use sqlparser::ast::Statement;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::protocol::postgres::sql::scan::scan;
use crate::protocol::postgres::sql::{calls, tree};

const CALLS: &[&str] = &[
    "select pg_notify('a', 'b')",
    "select pg_catalog.pg_notify('a', 'b')",
    "select \"pg_notify\" ('a', 'b')",
    "select public.lower('a')",
    "select 1 where pg_notify('a', 'b') is null",
    "select 1 group by f(1) having f(2)",
    "select 1 order by f(1)",
    "select 1 limit f(1) offset 2",
    "select 1 offset f(1)",
    "select 1 from f(1)",
    "select 1 from f(1) as a(b)",
    "select 1 from a, f(1) as d (b int)",
    "select 1 from lateral f(1) a",
    "select 1 from a join b on f(1)",
    "select 1 from (values (f(1))) a",
    "with a as (select f(1)) select 1 from a",
    "with f(a) as (select 1) select 1 from b, f(1) as d (a int)",
    "select case when f(1) then 1 else 2 end",
    "select cast(f(1) as int), f(1)::int",
    "select array[f(1)], row(f(1))",
    "select (select f(1))",
    "select lower(f(1))",
    "select sum(f(1)) filter (where f(2)) over (partition by f(3) order by f(4))",
    "select sum(1) over w from a window w as (order by f(1))",
    "select percentile_cont(f(1)) within group (order by f(2))",
    "select string_agg(a, ',' order by f(1)) from b",
    "select 1 in (f(1), 2), 1 between 2 and f(1), 1 = any (f(1))",
    "select 'a' like f(1) escape '!', a[f(1)], extract(year from f(1)), trim(both f(1) from 'a')",
    "select a at time zone f(1), substring(a from f(1)), position(f(1) in 'a'), overlay('a' placing f(1) from 1)",
    "select distinct on (f(1)) 1",
    "select 1 union select f(1)",
    "values (f(1))",
];

#[test]
fn each_net_stops_calls_by_itself() {
    for text in CALLS {
        let tokens = scan(text).expect("plain");
        let tables: &[String] = if text.starts_with("with f(") { &["f".to_owned()] } else { &[] };
        assert!(calls::reads(&tokens, tables).is_err(), "tokens: {text}");
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, text).expect("it is understood");
        let [Statement::Query(query)] = parsed.as_slice() else { panic!("a query: {text}") };
        assert!(tree::reads(query).is_err(), "tree: {text}");
    }
}
