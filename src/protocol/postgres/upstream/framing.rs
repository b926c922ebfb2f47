//! Until the codec is there.

pub(super) fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    let mut message = (body.len() as u32 + 4).to_be_bytes().to_vec();
    message.append(&mut body);
    message
}

pub(super) fn message(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut message = vec![tag];
    message.extend_from_slice(&(length as u32 + 4).to_be_bytes());
    for part in parts {
        message.extend_from_slice(part);
    }
    message
}

pub(super) fn ssl_request() -> [u8; 8] {
    [0, 0, 0, 8, 4, 210, 22, 47]
}

pub(super) fn cancel(pid: u32, secret: &[u8]) -> Vec<u8> {
    let mut bytes = (secret.len() as u32 + 12).to_be_bytes().to_vec();
    bytes.extend_from_slice(&80_877_102_u32.to_be_bytes());
    bytes.extend_from_slice(&pid.to_be_bytes());
    bytes.extend_from_slice(secret);
    bytes
}

pub(super) fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let [tag, a, b, c, d] = *bytes.first_chunk()?;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    Some((tag, length.checked_sub(4).unwrap_or(usize::MAX)))
}

/// Fields of an ErrorResponse.
pub(super) fn error_field(body: &[u8], field: u8) -> Option<String> {
    let mut parts = body.split(|byte| *byte == 0);
    let part = parts.find(|part| part.first() == Some(&field))?;
    Some(String::from_utf8_lossy(&part[1..]).into_owned())
}

pub(super) fn pair(body: &[u8]) -> Option<(String, String)> {
    let mut parts = body.split(|byte| *byte == 0);
    let name = parts.next()?;
    let value = parts.next()?;
    Some((String::from_utf8_lossy(name).into(), String::from_utf8_lossy(value).into()))
}

pub(super) fn data_row(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk()?;
    let mut row = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk()?;
        let length = i32::from_be_bytes(*length);
        rest = after;
        row.push(match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                let value = rest.get(..length)?;
                rest = &rest[length..];
                Some(std::str::from_utf8(value).ok()?.to_owned())
            }
        });
    }
    Some(row)
}
