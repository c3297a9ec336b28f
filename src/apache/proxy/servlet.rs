//! `mapping=servlet`: a path as a servlet container reads it (alias_match_servlet).

/// A segment that counts: where it begins in the path, and where it ends in front of its parameters.
struct Segment {
    /// Where what is handed on begins with it: `.` and empty segments in front of it are handed on, too.
    handed_on: usize,
    start: usize,
    end: usize,
    parameters: bool,
}

/// How much of a path a `ProxyPass` prefix covers, and the path without parameters, empty segments and dots; `None`: the
/// prefix does not cover it.
pub(super) fn covered(path: &[u8], prefix: &[u8]) -> Option<(usize, Vec<u8>)> {
    if !path.starts_with(b"/") || !prefix.starts_with(b"/") {
        return None;
    }
    let (segments, slash) = segments(path)?;
    let wanted: Vec<&[u8]> = prefix.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
    let directory = prefix.ends_with(b"/");
    let same = wanted.iter().zip(&segments).all(|(name, segment)| **name == path[segment.start..segment.end]);
    if !same || segments.len() < wanted.len() || directory && segments.len() == wanted.len() && !slash {
        return None;
    }
    let mut length = match segments.get(wanted.len()) {
        Some(next) => match wanted.len().checked_sub(1).map(|last| &segments[last]) {
            // The parameters of the last segment are handed on, where nothing says that it is a directory.
            Some(last) if last.parameters && !directory => last.end,
            _ => next.handed_on,
        },
        None => path.len(),
    };
    if !directory && path[length - 1] == b'/' {
        length -= 1;
    }
    let names: Vec<&[u8]> = segments.iter().map(|segment| &path[segment.start..segment.end]).collect();
    let mut normal = [b"/", names.join(&b'/').as_slice()].concat();
    if slash && !segments.is_empty() {
        normal.push(b'/');
    }
    Some((length, normal))
}

/// The segments that are left, and whether a slash follows the last one; `None`: they lead above the root.
fn segments(path: &[u8]) -> Option<(Vec<Segment>, bool)> {
    let mut found: Vec<Segment> = Vec::new();
    let mut slash = true;
    let mut start = 1;
    let mut behind_last = Some(1);
    for part in path[1..].split(|&byte| byte == b'/') {
        let length = memchr::memchr(b';', part).unwrap_or(part.len());
        match &part[..length] {
            b"" | b"." => slash = true,
            b".." => {
                found.pop()?;
                slash = true;
                behind_last = None;
            }
            _ => {
                let handed_on = behind_last.unwrap_or(start);
                let slashes = path[handed_on..].iter().take_while(|&&byte| byte == b'/').count();
                let (end, parameters) = (start + length, length < part.len());
                found.push(Segment { handed_on: handed_on + slashes, start, end, parameters });
                slash = false;
                behind_last = Some(start + part.len() + 1);
            }
        }
        start += part.len() + 1;
    }
    Some((found, slash))
}

#[cfg(test)]
mod tests {
    use super::covered;

    #[test]
    fn segments_are_compared_without_their_parameters() {
        let tail = |path: &str, prefix: &str| {
            let (length, normal) = covered(path.as_bytes(), prefix.as_bytes())?;
            Some((path[length..].to_owned(), String::from_utf8(normal).expect("ASCII")))
        };
        let found = |tail: &str, normal: &str| Some((tail.to_owned(), normal.to_owned()));
        assert_eq!(tail("/app/x", "/app"), found("/x", "/app/x"));
        assert_eq!(tail("/app;a=b/x", "/app"), found(";a=b/x", "/app/x"));
        assert_eq!(tail("/app;a=b/x", "/app/"), found("x", "/app/x"));
        assert_eq!(tail("/./y/../app//x/", "/app"), found("/x/", "/app/x/"));
        assert_eq!(tail("/app/.;/x", "/app"), found("/.;/x", "/app/x"));
        assert_eq!(tail("/app", "/app"), found("", "/app"));
        assert_eq!(tail("/app", "/app/"), None);
        assert_eq!(tail("/apple", "/app"), None);
        assert_eq!(tail("/app/..;/x", "/app"), None);
        assert_eq!(tail("/..;/app", "/app"), None);
        assert_eq!(tail("/", "/"), found("", "/"));
    }
}
