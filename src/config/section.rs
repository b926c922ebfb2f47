//! A table of the file while it is read: takes values by key and type, and reports what is
//! wrong with them, all of it.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::raw::{Kind, Schema, title};
use super::report::{PROBLEMS_MAX, Report, Span};
use super::values;
use crate::rules::Globs;

/// How many tables or texts a list has: they are compared with each other.
const ITEMS_MAX: usize = 1_000;

/// A table of the file; one that is not there has no keys.
#[derive(Clone)]
pub(super) struct Section<'a> {
    report: &'a Report<'a>,
    table: Option<&'a DeTable<'a>>,
    schema: &'static Schema,
    /// As in `listeners.orders.tls`.
    path: String,
    /// Where it begins.
    pub(super) span: Span,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(
        report: &'a Report<'a>,
        table: &'a DeTable<'a>,
        schema: &'static Schema,
    ) -> Self {
        let section = Self { report, table: Some(table), schema, path: String::new(), span: 0..0 };
        section.report_unknown_keys();
        section
    }

    /// As in `[listeners.orders.tls]`, for messages.
    pub(super) fn title(&self) -> String {
        title(&self.path)
    }

    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    pub(super) fn report(&self) -> &'a Report<'a> {
        self.report
    }

    /// Where a key's value is; where the table begins when the key is not there.
    pub(super) fn span_of(&self, key: &str) -> Span {
        self.get(key).map_or_else(|| self.span.clone(), Spanned::span)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Reports a key that has to be there and is not, with an example of it.
    pub(super) fn require(&self, key: &str, example: &str) {
        if self.is_there() && !self.has(key) {
            let message = format!("{} has no `{key}`", self.title());
            self.report.error(&self.span, message, format!("add `{key} = {example}`"));
        }
    }

    pub(super) fn error_at(&self, key: &str, message: impl Into<String>, mend: impl Into<String>) {
        self.report.error(&self.span_of(key), message, mend);
    }

    pub(super) fn string(&self, key: &str) -> Option<Spanned<&'a str>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Spanned::new(value.span(), text)),
            _ => self.wrong_type(key, value, "a text in quotes"),
        }
    }

    /// A list of texts; one text stands for a list of one. Only those that are texts.
    pub(super) fn strings(&self, key: &str) -> Option<Vec<Spanned<&'a str>>> {
        let value = self.get(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            return match value.get_ref() {
                DeValue::String(text) => Some(vec![Spanned::new(value.span(), text)]),
                _ => self.wrong_type(key, value, "a list of texts such as `[\"a\", \"b\"]`"),
            };
        };
        self.bound(key, value, items.len());
        let texts = items.iter().take(ITEMS_MAX).enumerate().filter_map(|(at, item)| {
            match item.get_ref() {
                DeValue::String(text) => Some(Spanned::new(item.span(), &**text)),
                _ => self.wrong_type(&format!("{key}[{at}]"), item, "a text in quotes"),
            }
        });
        Some(texts.collect())
    }

    /// A list of whole numbers; one number stands for a list of one. Only those that are good.
    pub(super) fn numbers(&self, key: &str, allowed: RangeInclusive<u64>) -> Option<Vec<u64>> {
        let value = self.get(key)?;
        let items = match value.get_ref() {
            DeValue::Array(items) => items.as_ref(),
            DeValue::Integer(_) => std::slice::from_ref(value),
            _ => return self.wrong_type(key, value, "a list of numbers such as `[0, 1]`"),
        };
        self.bound(key, value, items.len());
        let items = items.iter().take(ITEMS_MAX);
        Some(items.filter_map(|item| self.number(key, item, &allowed)).collect())
    }

    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => self.wrong_type(key, value, "`true` or `false`"),
        }
    }

    pub(super) fn integer(&self, key: &str, allowed: RangeInclusive<u64>) -> Option<u64> {
        self.number(key, self.get(key)?, &allowed)
    }

    fn number(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        allowed: &RangeInclusive<u64>,
    ) -> Option<u64> {
        let (low, high) = (allowed.start(), allowed.end());
        let DeValue::Integer(digits) = value.get_ref() else {
            return self.wrong_type(key, value, "a whole number without quotes");
        };
        let number = i128::from_str_radix(digits.as_str(), digits.radix()).ok();
        let number = number.and_then(|number| u64::try_from(number).ok());
        if number.is_none_or(|number| !allowed.contains(&number)) {
            let message = format!("`{key}` is out of bounds");
            self.report.error(&value.span(), message, format!("from {low} to {high}"));
            return None;
        }
        number
    }

    /// As [`Self::integer`], for what counts things in memory.
    pub(super) fn count(&self, key: &str, allowed: RangeInclusive<usize>) -> Option<usize> {
        let as_u64 = |bound: &usize| u64::try_from(*bound).unwrap_or(u64::MAX);
        let number = self.integer(key, as_u64(allowed.start())..=as_u64(allowed.end()))?;
        usize::try_from(number).ok()
    }

    /// A duration of at least a millisecond.
    pub(super) fn duration(&self, key: &str) -> Option<Duration> {
        self.delay(key).filter(|duration| self.is_not_zero(key, duration.is_zero()))
    }

    /// A duration, also none at all.
    pub(super) fn delay(&self, key: &str) -> Option<Duration> {
        self.quantity(key, "a duration with a unit such as `\"30s\"`", values::duration)
    }

    /// A number of bytes, at least one.
    pub(super) fn size(&self, key: &str) -> Option<u64> {
        self.quantity(key, "a size with a unit such as `\"64KiB\"`", values::size)
            .filter(|bytes| self.is_not_zero(key, *bytes == 0))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(key)?;
        self.one_of(key, &text, choices)
    }

    /// What one text of a key means.
    pub(super) fn one_of<T: Copy>(
        &self,
        key: &str,
        text: &Spanned<&str>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let found = choices.iter().find(|(word, _)| word == text.get_ref());
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let message = format!("`{key}` cannot be \"{}\"", text.get_ref().escape_debug());
            self.report.error(&text.span(), message, format!("one of {}", words.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// A path; relative ones start at the file's directory.
    pub(super) fn path(&self, key: &str) -> Option<Spanned<PathBuf>> {
        self.string(key).and_then(|text| self.resolve(key, &text))
    }

    /// The path that one text of a key means.
    pub(super) fn resolve(&self, key: &str, text: &Spanned<&str>) -> Option<Spanned<PathBuf>> {
        if text.get_ref().is_empty() || text.get_ref().contains('\0') {
            let message = format!("`{key}` is not a path");
            self.report.error(&text.span(), message, "name a file");
            return None;
        }
        Some(Spanned::new(text.span(), self.report.directory.join(text.get_ref())))
    }

    /// Globs on identities; `None` without the key, and when any of them is wrong.
    pub(super) fn globs(&self, key: &str) -> Option<Globs> {
        let texts = self.strings(key)?;
        let is_good = |text: &Spanned<&str>| {
            let problem = match Globs::new([*text.get_ref()]) {
                _ if text.get_ref().is_empty() => "it is empty, so it matches nobody".to_owned(),
                Err(error) => error.kind().to_string(),
                Ok(_) => return true,
            };
            let message = format!("`{key}` has a glob that cannot be used: {problem}");
            let mend = "write identities, with `*` for anything but `/` and `**` for anything";
            self.report.error(&text.span(), message, mend);
            false
        };
        let good = texts.iter().filter(|text| is_good(text)).count();
        let all = Globs::new(texts.iter().map(|text| *text.get_ref())).ok();
        all.filter(|_| good == texts.len())
    }

    /// The table behind a key.
    pub(super) fn table(&self, key: &str) -> Self {
        let Some(Kind::Table(schema)) = self.schema.kind(key) else {
            unreachable!("the schema has no table `{key}`");
        };
        let path = self.below(key);
        match self.get(key) {
            Some(value) => self.open(key, value, schema, path),
            None => Self { table: None, schema, path, ..self.clone() },
        }
    }

    /// The tables behind a key, with the names that the operator gave them, in the order of
    /// the file.
    pub(super) fn named(&self, key: &str) -> Vec<(Spanned<&'a str>, Self)> {
        let Some(Kind::Named(schema)) = self.schema.kind(key) else {
            unreachable!("the schema has no named tables `{key}`");
        };
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let DeValue::Table(tables) = value.get_ref() else {
            let form = format!("made of tables `[{}.NAME]`", self.below(key));
            self.wrong_type::<()>(key, value, &form);
            return Vec::new();
        };
        self.bound(key, value, tables.len());
        let mut sections: Vec<_> = tables
            .iter()
            .take(ITEMS_MAX)
            .map(|(name, value)| {
                let path = format!("{}.{}", self.below(key), name.get_ref());
                let text: &'a str = name.get_ref();
                (Spanned::new(name.span(), text), self.open(text, value, schema, path))
            })
            .collect();
        sections.sort_by_key(|(name, _)| name.span().start);
        sections
    }

    /// The list of tables behind a key.
    pub(super) fn list(&self, key: &str) -> Vec<Self> {
        let Some(Kind::List(schema)) = self.schema.kind(key) else {
            unreachable!("the schema has no list of tables `{key}`");
        };
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            let form = format!("a list of tables; write `[[{key}]]` with two brackets");
            self.wrong_type::<()>(key, value, &form);
            return Vec::new();
        };
        self.bound(key, value, items.len());
        let items = items.iter().take(ITEMS_MAX);
        items.map(|item| self.open(key, item, schema, self.below(key))).collect()
    }

    fn open(
        &self,
        key: &str,
        value: &'a Spanned<DeValue<'a>>,
        schema: &'static Schema,
        path: String,
    ) -> Self {
        let table = match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => self.wrong_type(key, value, "a table"),
        };
        let section = Self { report: self.report, table, schema, path, span: value.span() };
        section.report_unknown_keys();
        section
    }

    fn report_unknown_keys(&self) {
        let keys = self.table.iter().flat_map(|table| table.keys());
        let unknown = keys.filter(|key| self.schema.kind(key.get_ref()).is_none());
        for key in unknown.take(PROBLEMS_MAX) {
            let shown = key.get_ref().escape_debug().to_string();
            let message = format!("unknown key `{shown}` in {}", self.title());
            self.report.error(&key.span(), message, self.schema.mend(key.get_ref()));
        }
    }

    fn bound(&self, key: &str, value: &Spanned<DeValue<'_>>, len: usize) {
        if len > ITEMS_MAX {
            let message = format!("`{key}` has {len} entries");
            let mend = format!("at most {ITEMS_MAX}; patterns and globs can stand for many");
            self.report.error(&value.span(), message, mend);
        }
    }

    fn below(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        debug_assert!(self.schema.kind(key).is_some(), "the schema has no `{key}`");
        self.table?.get(key)
    }

    fn quantity<T>(
        &self,
        key: &str,
        form: &str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.get(key)?;
        let DeValue::String(text) = value.get_ref() else {
            return self.wrong_type(key, value, form);
        };
        let parsed = parse(text);
        if let Err(mend) = &parsed {
            let shown: String = text.chars().take(40).collect();
            let message = format!("`{key}` cannot be \"{}\"", shown.escape_debug());
            self.report.error(&value.span(), message, mend.as_str());
        }
        parsed.ok()
    }

    fn is_not_zero(&self, key: &str, zero: bool) -> bool {
        if zero {
            let mend = format!("write a larger one, or leave `{key}` out for its default");
            self.error_at(key, format!("`{key}` is zero"), mend);
        }
        !zero
    }

    fn wrong_type<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, form: &str) -> Option<T> {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.report.error(&value.span(), format!("`{key}` is {found}"), format!("it takes {form}"));
        None
    }
}
