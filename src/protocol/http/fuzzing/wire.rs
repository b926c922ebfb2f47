//! HTTP/1.1 read by the letter of RFC 9112, independently of hyper: what a request says, and
//! where it ends. Slow and plain, so that it can be believed.

/// A request or an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The first line, split at its spaces: method, target, version; or version, status, reason.
    pub line: [String; 3],
    /// Names in lower case, values without the space around them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Without its framing.
    pub body: Vec<u8>,
    /// Whether its last byte is there.
    pub is_whole: bool,
    /// What is wrong with the chunks of its body, which is known up to there.
    pub fault: Option<String>,
}

/// What a reader lets pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manner {
    /// What RFC 9112 allows a server to take: lines that end in LF alone, empty lines before a
    /// request, extensions of chunks, trailers, a length beside chunks (which is ignored), the
    /// same length twice.
    Lenient,
    /// One form for each thing: what Palisade may send to a store and to a client.
    Strict,
}

/// How the body of a message ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ends {
    /// As its own head says; a head that says nothing has no body.
    ByHead,
    /// There is none, whatever its head says: an answer to HEAD.
    Bodiless,
    /// An answer: a head that says nothing has a body up to the end of the connection.
    AtClose,
}

/// The first message of `bytes`, and how many bytes it takes. `Ok(None)`: its head is not all
/// there yet.
///
/// # Errors
/// Why it is none.
pub fn first(bytes: &[u8], manner: Manner, ends: Ends) -> Result<Option<(Message, usize)>, String> {
    let mut rest = Rest { bytes, at: 0, manner };
    let line = loop {
        let Some(line) = rest.line()? else { return Ok(None) };
        if !line.is_empty() || manner == Manner::Strict {
            break line;
        }
    };
    let line = first_line(line, manner)?;
    let mut headers = Vec::new();
    loop {
        let Some(line) = rest.line()? else { return Ok(None) };
        if line.is_empty() {
            break;
        }
        headers.push(field(line)?);
    }
    let mut message = Message { line, headers, body: Vec::new(), is_whole: true, fault: None };
    let is_bodiless = ends == Ends::Bodiless
        || message.line[0].starts_with("HTTP/")
            && (message.line[1].starts_with('1') || ["204", "304"].contains(&&*message.line[1]));
    if !is_bodiless {
        body(&mut message, &mut rest, ends)?;
    }
    Ok(Some((message, rest.at)))
}

impl Message {
    /// The values of a header.
    pub fn all<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m [u8]> + use<'m> {
        let of = |(found, value): &'m (String, Vec<u8>)| (found == name).then_some(&value[..]);
        self.headers.iter().filter_map(of).collect::<Vec<_>>().into_iter()
    }

    /// The one value of a header, where there is exactly one.
    pub fn one(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.all(name);
        let first = values.next()?;
        values.next().is_none().then_some(first)
    }
}

struct Rest<'b> {
    bytes: &'b [u8],
    at: usize,
    manner: Manner,
}

impl<'b> Rest<'b> {
    /// The next line without its end; `None` where it is not all there.
    fn line(&mut self) -> Result<Option<&'b [u8]>, String> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        self.at += end + 1;
        let line = match rest[..end].strip_suffix(b"\r") {
            Some(line) => line,
            None if self.manner == Manner::Lenient => &rest[..end],
            None => return Err("a line ends in LF alone".to_owned()),
        };
        if line.contains(&b'\r') {
            return Err("a CR stands alone".to_owned());
        }
        Ok(Some(line))
    }

    /// At most so many bytes.
    fn take(&mut self, count: u64) -> &'b [u8] {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(count).unwrap_or(usize::MAX).min(rest.len());
        self.at += taken;
        &rest[..taken]
    }
}

fn is_token(bytes: &[u8]) -> bool {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !bytes.is_empty() && bytes.iter().all(is_token)
}

fn first_line(line: &[u8], manner: Manner) -> Result<[String; 3], String> {
    let parts: Vec<_> = line.splitn(3, |byte| *byte == b' ').collect();
    let is_answer = line.starts_with(b"HTTP/");
    let bad = || Err(format!("{:?} is no first line", String::from_utf8_lossy(line)));
    let [one, two, three] = parts[..] else { return bad() };
    // What needs encoding is refused for that, but it ends no line.
    let is_of_target = |b: &u8| match manner {
        Manner::Lenient => *b > 0x20 && *b != 0x7f,
        Manner::Strict => b.is_ascii_graphic(),
    };
    let is_fine = match is_answer {
        true => {
            matches!(one, b"HTTP/1.1" | b"HTTP/1.0")
                && two.len() == 3
                && two.iter().all(u8::is_ascii_digit)
                && three.iter().all(|b| *b == b'\t' || !b.is_ascii_control())
        }
        false => {
            let is_version = matches!(three, b"HTTP/1.1" | b"HTTP/1.0");
            is_token(one) && !two.is_empty() && two.iter().all(is_of_target) && is_version
        }
    };
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    if is_fine { Ok([text(one), text(two), text(three)]) } else { bad() }
}

fn field(line: &[u8]) -> Result<(String, Vec<u8>), String> {
    let bad = || format!("{:?} is no header", String::from_utf8_lossy(line));
    let colon = line.iter().position(|byte| *byte == b':').ok_or_else(bad)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if !is_token(name) || value.iter().any(|b| *b != b'\t' && b.is_ascii_control()) {
        return Err(bad());
    }
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
}

fn body(message: &mut Message, rest: &mut Rest<'_>, ends: Ends) -> Result<(), String> {
    let codings: Vec<_> = message.all("transfer-encoding").collect();
    let mut lengths: Vec<_> = message.all("content-length").collect();
    if rest.manner == Manner::Lenient {
        lengths.dedup(); // RFC 9110 section 8.6 lets the same one stand twice.
    }
    match (&codings[..], &lengths[..]) {
        ([], []) if ends == Ends::AtClose => {
            message.body = rest.take(u64::MAX).to_vec();
            message.is_whole = false;
            Ok(())
        }
        ([], []) => Ok(()),
        ([], [length]) => {
            let is_number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(length).ok().filter(|_| is_number);
            let length: u64 = text
                .and_then(|text| text.parse().ok())
                .ok_or("Content-Length is not one number")?;
            message.body = rest.take(length).to_vec();
            message.is_whole = message.body.len() as u64 == length;
            Ok(())
        }
        ([coding], lengths)
            if coding.eq_ignore_ascii_case(b"chunked")
                && (rest.manner == Manner::Lenient || lengths.is_empty()) =>
        {
            message.fault = chunks(message, rest).err();
            Ok(())
        }
        _ => Err("the length of the body can be read in two ways".to_owned()),
    }
}

fn chunks(message: &mut Message, rest: &mut Rest<'_>) -> Result<(), String> {
    message.is_whole = false;
    loop {
        let Some(line) = rest.line()? else { return Ok(()) };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, extension) = line.split_at(digits);
        let is_plain = match rest.manner {
            Manner::Lenient => matches!(extension.trim_ascii_start().first(), None | Some(b';')),
            Manner::Strict => extension.is_empty(),
        };
        let text = std::str::from_utf8(digits).map_err(|error| error.to_string())?;
        let size = u64::from_str_radix(text, 16).ok().filter(|_| is_plain);
        let size = size.ok_or("the size of a chunk is none")?;
        if size == 0 {
            break;
        }
        let data = rest.take(size);
        message.body.extend_from_slice(data);
        if (data.len() as u64) < size || rest.bytes.len() == rest.at {
            return Ok(());
        }
        match rest.line()? {
            Some(b"") => {}
            Some(_) => return Err("a chunk is longer than its size".to_owned()),
            None if rest.bytes[rest.at..] == *b"\r" => return Ok(()),
            None => return Err("a chunk is longer than its size".to_owned()),
        }
    }
    loop {
        match rest.line()? {
            None => return Ok(()),
            Some(b"") => break,
            Some(_) if rest.manner == Manner::Strict => return Err("there are trailers".to_owned()),
            Some(trailer) => drop(field(trailer)?),
        }
    }
    message.is_whole = true;
    Ok(())
}
