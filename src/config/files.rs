//! The files that a configuration names: whether they are there and look like what they
//! should be, and secrets read from them.

use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::section::Section;

/// The largest file that is looked into, in bytes.
const FILE_MAX_BYTES: u64 = 16 << 20;
/// The largest secret, in bytes.
const SECRET_MAX_BYTES: u64 = 4096;

/// What a PEM file should hold.
#[derive(Clone, Copy)]
pub(super) enum Pem {
    Certificates,
    Key,
}

impl Pem {
    fn label(self) -> &'static str {
        match self {
            Self::Certificates => "CERTIFICATE",
            Self::Key => "PRIVATE KEY",
        }
    }
}

/// The path behind a key, when a PEM file of that kind is there.
pub(super) fn pem(section: &Section<'_>, key: &str, kind: Pem) -> Option<PathBuf> {
    let path = section.path(key)?;
    let (span, path) = (path.span(), path.into_inner());
    let content = match read(&path, FILE_MAX_BYTES) {
        Ok(content) => content,
        Err(why) => {
            let message = format!("{} cannot be read: {why}", path.display());
            section.report().error(&span, message, mend_of_file(&path));
            return None;
        }
    };
    let text = String::from_utf8_lossy(&content);
    let is_begin = |line: &str| {
        let label = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
        label.is_some_and(|label| match kind {
            Pem::Key => label.ends_with(kind.label()),
            Pem::Certificates => label == kind.label(),
        })
    };
    if !text.lines().any(|line| is_begin(line.trim_end())) {
        let message = format!("{} has no PEM `{}`", path.display(), kind.label());
        let mend = if matches!(kind, Pem::Key) && text.contains("CERTIFICATE") {
            "`certificate` and `key` may be exchanged".to_owned()
        } else {
            format!("`{key}` takes a file with `-----BEGIN {}-----`", kind.label())
        };
        section.report().error(&span, message, mend);
        return None;
    }
    if matches!(kind, Pem::Key) {
        warn_if_open_to_all(section, &span, &path);
    }
    Some(path)
}

/// The path behind a key of a file that will be written, when its directory is there.
pub(super) fn writable(section: &Section<'_>, key: &str) -> Option<PathBuf> {
    let path = section.path(key)?;
    let (span, path) = (path.span(), path.into_inner());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let message = if path.is_dir() {
        format!("{} is a directory", path.display())
    } else if !parent.is_dir() {
        format!("the directory {} is not there", parent.display())
    } else {
        return Some(path);
    };
    section.report().error(&span, message, "make the directory, and name a file in it");
    None
}

/// One way to write a path to a file that may not be there yet.
pub(super) fn whereabouts(path: &Path) -> PathBuf {
    let of_parent = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(of_parent).unwrap_or_else(|| path.to_owned())
}

/// The secret behind `NAME_file` or `NAME_env`. No message has any of it, not even the
/// path: a secret is easily pasted in the wrong place.
pub(super) fn secret(section: &Section<'_>, name: &str) -> Option<Zeroizing<String>> {
    let (file_key, env_key) = (format!("{name}_file"), format!("{name}_env"));
    match (section.has(&file_key), section.has(&env_key)) {
        (true, true) => {
            let message = format!("`{file_key}` and `{env_key}` are both there");
            section.error_at(&env_key, message, "leave one of them out");
            None
        }
        (true, false) => {
            let path = section.path(&file_key)?;
            let found = read(path.get_ref(), SECRET_MAX_BYTES).and_then(|bytes| {
                let text = std::str::from_utf8(&bytes).map_err(|_| "it is not text".to_owned())?;
                clean(text)
            });
            if found.is_ok() {
                warn_if_open_to_all(section, &path.span(), path.get_ref());
            }
            let mend = "relative paths start at the directory of this file";
            let complain = |why| {
                section.error_at(&file_key, format!("`{file_key}` cannot be used: {why}"), mend);
            };
            found.map_err(complain).ok()
        }
        (false, true) => {
            let variable = section.string(&env_key)?;
            let value = (section.report().env)(variable.get_ref()).map(Zeroizing::new);
            let found = value.ok_or_else(|| "it is not set".to_owned()).and_then(|v| clean(&v));
            let mend = "name an environment variable that Palisade is started with";
            let complain = |why| {
                let message = format!("the variable of `{env_key}` cannot be used: {why}");
                section.error_at(&env_key, message, mend);
            };
            found.map_err(complain).ok()
        }
        (false, false) => {
            let message = format!("{} has neither `{file_key}` nor `{env_key}`", section.title());
            section.report().error(&section.span, message, format!("add `{file_key}`"));
            None
        }
    }
}

/// A secret without the line break that editors put behind it.
fn clean(text: &str) -> Result<Zeroizing<String>, String> {
    let text = text.trim();
    if text.is_empty() {
        Err("it is empty".to_owned())
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err("it has spaces or several lines in it".to_owned())
    } else {
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// A file's content; the error says why there is none.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let says = |error| why_unreadable(&error);
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(says)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut content = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(path).map_err(says)?;
    file.take(max_bytes + 1).read_to_end(&mut content).map_err(says)?;
    if content.len() as u64 > max_bytes {
        return Err(format!("it has more than {max_bytes} bytes"));
    }
    Ok(content)
}

/// Why a file cannot be read, in words of our own where the system's are clumsy.
pub(super) fn why_unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        // It is from ourselves.
        std::io::ErrorKind::InvalidInput => error.to_string(),
        kind => kind.to_string(),
    }
}

pub(super) fn mend_of_file(path: &Path) -> &'static str {
    if path.is_file() {
        "let the user that Palisade runs as read it"
    } else if path.exists() {
        "name a file"
    } else {
        "`palisade certs` makes certificates; relative paths start at the directory of this file"
    }
}

#[cfg(unix)]
pub(super) fn warn_if_open_to_all(section: &Section<'_>, span: &super::report::Span, path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o006 != 0 {
        let message = "every user of this machine can read or change this file";
        section.report().warn(span, message, "take the rights of others away: `chmod o-rwx`");
    }
}

#[cfg(not(unix))]
pub(super) fn warn_if_open_to_all(_: &Section<'_>, _: &super::report::Span, _: &Path) {}
