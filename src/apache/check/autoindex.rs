//! mod_autoindex: `IndexOptions` and `IndexOrderDefault`.

use std::borrow::Cow;

use super::Line;
use super::values::{atoi, is_one_of};

/// `IndexOptions` (`add_opts`).
pub(super) fn index_options(line: &Line) -> Result<(), String> {
    let (mut none, mut others) = (false, false);
    // An empty word at the end is not looked at.
    let words = line.words().strip_suffix(&[Cow::Borrowed(&b""[..])]).unwrap_or(line.words());
    for word in words {
        let (sign, bare) = match word.split_first() {
            Some((sign @ (b'+' | b'-'), rest)) => (Some(*sign), rest),
            _ => (None, &word[..]),
        };
        let plain = [
            "FancyIndexing",
            "FoldersFirst",
            "HTMLTable",
            "IconsAreLinks",
            "IgnoreCase",
            "IgnoreClient",
            "ScanHTMLTitles",
            "SuppressColumnSorting",
            "SuppressDescription",
            "SuppressHTMLPreamble",
            "SuppressIcon",
            "SuppressLastModified",
            "SuppressSize",
            "SuppressRules",
            "TrackModified",
            "VersionSort",
            "XHTML",
            "ShowForbidden",
            "AddAltClass",
        ];
        let minus = sign == Some(b'-');
        if is_one_of(bare, &["None"]) {
            if sign.is_some() {
                return Err("cannot combine '+' or '-' with 'None' keyword".into());
            }
            none = true;
            others = false;
        } else if is_one_of(bare, &plain) {
            others |= sign.is_none();
        } else if is_one_of(bare, &["IconWidth", "IconHeight", "Type=", "Charset=", "UseOldDateFormat"]) {
        } else if is_one_of(bare, &["NameWidth", "DescriptionWidth"]) {
            if !minus {
                let bare = String::from_utf8_lossy(bare);
                return Err(format!("{bare} with no value may only appear as '-{bare}'"));
            }
        } else if is_one_of(bare, &["IconWidth=", "IconHeight=", "NameWidth=", "DescriptionWidth="]) {
            let (key, value) = bare.split_at(memchr::memchr(b'=', bare).unwrap_or(bare.len()));
            let key = String::from_utf8_lossy(key);
            if minus {
                return Err(format!("cannot combine '-' with {key}=n"));
            }
            let width = atoi(value.get(1..).unwrap_or_default(), i64::from(i32::MAX));
            let least = match key.to_ascii_lowercase().as_str() {
                "namewidth" => 5,
                "descriptionwidth" => 12,
                _ => 0,
            };
            if width != 0 && width < least {
                return Err(format!("{key} value must be greater than {least}"));
            }
        } else {
            return Err(format!("invalid directory indexing option '{}'", String::from_utf8_lossy(bare)));
        }
    }
    if none && others {
        return Err("cannot combine other IndexOptions keywords with 'None'".into());
    }
    Ok(())
}

/// `IndexOrderDefault DIRECTION KEY`.
pub(super) fn order(line: &Line) -> Result<(), String> {
    if !is_one_of(line.word(0), &["Ascending", "Descending"]) {
        return Err("first keyword must be 'Ascending' or 'Descending'".into());
    }
    if !is_one_of(line.word(1), &["Name", "Date", "Size", "Description"]) {
        return Err("second keyword must be 'Name', 'Date', 'Size', or 'Description'".into());
    }
    Ok(())
}
