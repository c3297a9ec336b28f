//! Choosing among variants: the server's own algorithm, and RVSA/1.0 for clients that ask for it (`best_match`).

use super::accept::{Accepted, INCLUDES, INCLUDES_3};

/// A variant, as a file name or a type map describes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variant {
    pub file_name: Vec<u8>,
    /// In lower case; empty where none is known.
    pub mime_type: Vec<u8>,
    pub encoding: Option<Vec<u8>>,
    pub languages: Vec<Vec<u8>>,
    pub charset: Vec<u8>,
    pub source_quality: f32,
    pub level: f32,
    /// Its length; what is not known counts as nothing.
    pub bytes: i64,
    /// The text stands in the type map itself.
    pub body: bool,
}

impl Variant {
    /// A variant of which nothing is known (`clean_var_rec`).
    pub fn new(file_name: &[u8]) -> Variant {
        Variant {
            file_name: file_name.to_vec(),
            mime_type: Vec::new(),
            encoding: None,
            languages: Vec::new(),
            charset: Vec::new(),
            source_quality: 0.0,
            level: 0.0,
            bytes: -1,
            body: false,
        }
    }

    /// Takes over what a content type says (`set_mime_fields`).
    pub fn set_type(&mut self, item: Accepted) {
        self.mime_type = item.name;
        self.source_quality = item.quality;
        self.level = item.level;
        self.charset = item.charset;
    }

    fn is_html(&self) -> bool {
        matches!(self.mime_type.as_slice(), b"text/html" | INCLUDES | INCLUDES_3)
    }

    fn is_identity(&self) -> bool {
        matches!(self.encoding.as_deref(), None | Some(b"" | b"7bit" | b"8bit" | b"binary"))
    }
}

/// What the client accepts, and what the server is told to do about it.
#[derive(Clone, Debug, Default)]
pub(super) struct Preferences {
    pub types: Vec<Accepted>,
    pub encodings: Option<Vec<Accepted>>,
    pub charsets: Option<Vec<Accepted>>,
    pub languages: Option<Vec<Accepted>>,
    /// `LanguagePriority`.
    pub priority: Vec<Vec<u8>>,
    /// `ForceLanguagePriority Prefer`.
    pub force_prefer: bool,
    /// `ForceLanguagePriority Fallback`.
    pub force_fallback: bool,
    /// An item of `Accept` has a quality below 1.
    pub has_quality: bool,
    /// The client knows how to negotiate: its headers are taken as they are.
    pub strict: bool,
    /// RVSA/1.0.
    pub rvsa: bool,
    /// The client lets the server choose.
    pub may_choose: bool,
    /// The variable `prefer-language`.
    pub preferred_language: Option<Vec<u8>>,
    /// The variable `no-gzip`.
    pub no_encoding: bool,
    /// The variable `gzip-only-text/html`.
    pub encoded_html_only: bool,
}

/// The qualities of one variant for one client.
#[derive(Clone, Copy, Debug)]
struct Score {
    mime: f32,
    source: f32,
    language: f32,
    charset: f32,
    encoding: f32,
    level_matched: f32,
    stars: u8,
    language_index: Option<usize>,
    definite: bool,
}

/// The index of the variant that is sent; `None`: the client gets a list, or 406.
pub(super) fn best_match(variants: &[Variant], preferences: &Preferences) -> Option<usize> {
    let default_language =
        if !preferences.strict && variants.iter().any(|variant| !variant.languages.is_empty()) { 0.0001 } else { 1.0 };
    let mut preferred = preferences.preferred_language.as_deref();
    loop {
        let mut best: Option<(usize, Score)> = None;
        let mut best_quality = 0.0;
        for (index, variant) in variants.iter().enumerate() {
            if discarded(variant, preferences)
                || preferred.is_some_and(|language| !variant.languages.iter().any(|known| known == language))
            {
                continue;
            }
            let score = score(variant, preferences, default_language, preferred.is_some());
            if !preferences.may_choose {
                continue;
            }
            let current = best.map(|(index, score)| (&variants[index], score));
            let better = if preferences.rvsa {
                better_rvsa(&score, current.map(|(_, score)| score), best_quality)
            } else {
                better(variant, &score, current, best_quality)
            };
            if let Some(quality) = better {
                best_quality = quality;
                best = Some((index, score));
            }
        }
        let chosen = best.filter(|(_, score)| best_quality > 0.0 && (!preferences.rvsa || score.definite));
        match chosen {
            Some((index, _)) => return Some(index),
            // The preferred language gave no result: once more, over all variants.
            None if preferred.is_some() => preferred = None,
            None => return None,
        }
    }
}

fn discarded(variant: &Variant, preferences: &Preferences) -> bool {
    if variant.is_identity() || variant.encoding.as_deref() == Some(b"identity") {
        return false;
    }
    preferences.no_encoding || preferences.encoded_html_only && !variant.mime_type.starts_with(b"text/html")
}

fn score(variant: &Variant, preferences: &Preferences, default_language: f32, preferred: bool) -> Score {
    let mut score = Score {
        mime: 1.0,
        source: variant.source_quality,
        language: 1.0,
        charset: 1.0,
        encoding: 1.0,
        level_matched: 0.0,
        stars: 0,
        language_index: None,
        definite: true,
    };
    type_quality(variant, preferences, &mut score);
    if preferred {
        score.definite = true;
    } else {
        language_quality(variant, preferences, default_language, &mut score);
    }
    score.encoding = encoding_quality(variant, preferences);
    charset_quality(variant, preferences, &mut score);
    score
}

/// `mime_match`: how closely a range names the type; 1 for `*/*`, 2 for `type/*`, 3 for the type.
fn mime_match(range: &Accepted, variant: &Variant, score: &mut Score) -> bool {
    let name = range.name.as_slice();
    if matches!(name, b"*" | b"*/*") {
        score.stars = score.stars.max(1);
        return true;
    }
    if let Some(main) = name.strip_suffix(b"/*")
        && !main.is_empty()
        && variant.mime_type.strip_prefix(main).is_some_and(|rest| rest.starts_with(b"/"))
    {
        score.stars = score.stars.max(2);
        return true;
    }
    let same = name == variant.mime_type
        || name == b"text/html" && matches!(variant.mime_type.as_slice(), INCLUDES | INCLUDES_3);
    if same && range.level >= variant.level {
        score.level_matched = variant.level;
        score.stars = 3;
        return true;
    }
    false
}

fn type_quality(variant: &Variant, preferences: &Preferences, score: &mut Score) {
    let (mut quality, mut definite) = (0.0, true);
    for range in &preferences.types {
        let before = score.stars;
        if !mime_match(range, variant, score) || score.stars == before {
            continue;
        }
        // Without any explicit quality a wildcard counts for next to nothing.
        quality = match score.stars {
            1 if !preferences.strict && !preferences.has_quality => 0.01,
            2 if !preferences.strict && !preferences.has_quality => 0.02,
            _ => range.quality,
        };
        definite = score.stars == 3;
    }
    score.mime = quality;
    score.definite &= definite;
}

fn language_quality(variant: &Variant, preferences: &Preferences, default: f32, score: &mut Score) {
    if variant.languages.is_empty() {
        if !preferences.strict {
            score.language = default;
        }
        return;
    }
    match &preferences.languages {
        None => score.definite = false,
        Some(ranges) => accepted_language(variant, ranges, preferences.strict, score),
    }
    let wanted = preferences.force_prefer && score.language_index.is_none()
        || preferences.force_fallback && score.language == 0.0;
    if !wanted {
        return;
    }
    let index = variant.languages.iter().filter_map(|language| language_index(&preferences.priority, language)).min();
    let Some(index) = index else { return };
    if score.language != 0.0 {
        if preferences.force_prefer {
            score.language_index = Some(index);
        }
    } else if preferences.force_fallback {
        score.language_index = Some(index);
        score.language = 0.0001;
        score.definite = false;
    }
}

/// `find_lang_index`: the first entry of `LanguagePriority` that begins the language.
fn language_index(priority: &[Vec<u8>], language: &[u8]) -> Option<usize> {
    priority.iter().position(|entry| language.get(..entry.len()).is_some_and(|start| start.eq_ignore_ascii_case(entry)))
}

fn accepted_language(variant: &Variant, ranges: &[Accepted], strict: bool, score: &mut Score) {
    let mut best: Option<&Accepted> = None;
    let mut star: Option<&Accepted> = None;
    let (mut fiddle, mut on_star) = (0.0, false);
    for (nth, language) in variant.languages.iter().enumerate() {
        let mut here: Option<&Accepted> = None;
        let mut longest = 0;
        for range in ranges {
            if range.name == b"*" {
                star = star.or(Some(range));
                continue;
            }
            let rest = language.strip_prefix(range.name.as_slice());
            if rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'-') && range.name.len() > longest {
                longest = range.name.len();
                here = Some(range);
            }
            // A client that asks for en-US may be content with en.
            if here.is_none()
                && !strict
                && let Some(dash) = memchr::memchr(b'-', &range.name)
                && language.starts_with(&range.name[..dash])
            {
                fiddle = 0.001;
            }
        }
        best = match (best, here) {
            _ if nth == 0 || best.is_none() => here,
            (Some(known), Some(new)) if new.quality > known.quality => here,
            _ => best,
        };
        on_star |= here.is_none() && star.is_some();
    }
    if on_star
        && let Some(star) = star
        && best.is_none_or(|best| star.quality > best.quality)
    {
        best = Some(star);
        score.definite = false;
    }
    score.language = best.map_or(fiddle, |best| best.quality);
}

fn encoding_quality(variant: &Variant, preferences: &Preferences) -> f32 {
    let identity = variant.is_identity();
    let Some(accepted) = &preferences.encodings else { return if identity { 1.0 } else { 0.5 } };
    let plain = |name: &[u8]| name.strip_prefix(b"x-").unwrap_or(name).to_vec();
    let encoding = if identity { b"identity".to_vec() } else { plain(variant.encoding.as_deref().unwrap_or_default()) };
    let mut star = None;
    for item in accepted {
        if plain(&item.name) == encoding {
            return item.quality;
        }
        if item.name == b"*" {
            star = Some(item.quality);
        }
    }
    star.unwrap_or(if identity { 0.0001 } else { 0.0 })
}

fn charset_quality(variant: &Variant, preferences: &Preferences, score: &mut Score) {
    let Some(accepted) = &preferences.charsets else {
        score.definite &= variant.charset.is_empty();
        return;
    };
    let charset: &[u8] = if variant.charset.is_empty() {
        let text = variant.mime_type.starts_with(b"text/");
        if !text || preferences.strict {
            return;
        }
        b"iso-8859-1"
    } else {
        &variant.charset
    };
    let mut star = None;
    for item in accepted {
        if item.name == charset {
            score.charset = item.quality;
            return;
        }
        if item.name == b"*" {
            star = Some(item.quality);
        }
    }
    match star {
        Some(quality) => {
            score.charset = quality;
            score.definite = false;
        }
        None => score.charset = if charset == b"iso-8859-1" { 1.0 } else { 0.0 },
    }
}

/// `is_variant_better_rvsa`: the new best quality, if this one is better.
fn better_rvsa(score: &Score, best: Option<Score>, best_quality: f32) -> Option<f32> {
    if score.encoding == 0.0 {
        return None;
    }
    let quality = score.mime * score.source * score.charset * score.language;
    let ties = quality == best_quality && best.is_some_and(|best| score.encoding > best.encoding);
    (quality > 0.0 && (quality > best_quality || ties)).then_some(quality)
}

/// `is_variant_better`: type, language, level, charset, encoding, length, in this order.
fn better(variant: &Variant, score: &Score, best: Option<(&Variant, Score)>, best_quality: f32) -> Option<f32> {
    if [score.encoding, score.language, score.source, score.charset, score.mime].contains(&0.0) {
        return None;
    }
    let quality = score.mime * score.source;
    if quality == 0.0 || quality < best_quality {
        return None;
    }
    let Some((rival, other)) = best.filter(|_| quality <= best_quality) else { return Some(quality) };
    let index = |index: Option<usize>| index.unwrap_or(usize::MAX);
    if score.language != other.language {
        return (score.language > other.language).then_some(quality);
    }
    if index(score.language_index) != index(other.language_index) {
        return (index(score.language_index) < index(other.language_index)).then_some(quality);
    }
    match compare_levels((variant, score), (rival, &other)) {
        std::cmp::Ordering::Less => return None,
        std::cmp::Ordering::Greater => return Some(quality),
        std::cmp::Ordering::Equal => {}
    }
    if score.charset < other.charset {
        return None;
    }
    let plain = |charset: &[u8]| charset.is_empty() || charset == b"iso-8859-1";
    if score.charset > other.charset || !plain(&variant.charset) && plain(&rival.charset) {
        return Some(quality);
    }
    if score.encoding != other.encoding {
        return (score.encoding > other.encoding).then_some(quality);
    }
    (variant.bytes < rival.bytes).then_some(quality)
}

/// `level_cmp`: among types that compare, the highest level that was asked for, else the lowest.
fn compare_levels(left: (&Variant, &Score), right: (&Variant, &Score)) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let (variant, rival) = (left.0, right.0);
    let comparable = if variant.is_html() { rival.is_html() } else { variant.mime_type == rival.mime_type };
    if !comparable {
        return Ordering::Equal;
    }
    let matched = left.1.level_matched.total_cmp(&right.1.level_matched);
    matched.then_with(|| rival.level.total_cmp(&variant.level))
}

#[cfg(test)]
mod tests {
    use super::super::accept::list;
    use super::*;

    fn variant(name: &str, mime_type: &str, languages: &[&str]) -> Variant {
        let mut variant = Variant::new(name.as_bytes());
        variant.mime_type = mime_type.as_bytes().to_vec();
        variant.source_quality = 1.0;
        variant.languages = languages.iter().map(|language| language.as_bytes().to_vec()).collect();
        variant
    }

    fn preferences(accept: &str, language: Option<&str>) -> Preferences {
        Preferences {
            types: list(Some(accept.as_bytes())).expect("given"),
            languages: list(language.map(str::as_bytes)),
            has_quality: accept.contains("q="),
            may_choose: true,
            force_prefer: true,
            ..Preferences::default()
        }
    }

    #[test]
    fn the_language_asked_for_is_sent_and_no_other() {
        let variants = [variant("a.en", "text/html", &["en"]), variant("a.de", "text/html", &["de"])];
        assert_eq!(best_match(&variants, &preferences("*/*", Some("de"))), Some(1));
        assert_eq!(best_match(&variants, &preferences("*/*", Some("en-US"))), Some(0));
        assert_eq!(best_match(&variants, &preferences("*/*", Some("fr"))), None);
        let fallback = Preferences {
            force_fallback: true,
            priority: vec![b"de".to_vec(), b"en".to_vec()],
            ..preferences("*/*", Some("fr"))
        };
        assert_eq!(best_match(&variants, &fallback), Some(1));
    }

    #[test]
    fn a_type_that_is_not_accepted_is_not_sent() {
        let variants = [variant("a.html", "text/html", &[]), variant("a.txt", "text/plain", &[])];
        assert_eq!(best_match(&variants, &preferences("text/plain", None)), Some(1));
        assert_eq!(best_match(&variants, &preferences("image/png", None)), None);
        assert_eq!(best_match(&variants, &preferences("text/html;q=0.1, text/plain;q=0.2", None)), Some(1));
    }
}
