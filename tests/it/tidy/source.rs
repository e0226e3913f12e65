//! Rust files as the fences see them: code without comments and literals, and the literals apart.
//!
//! It is a lexer of the little that matters here, not a parser. The other files of `tidy` call it.

use std::fs;
use std::path::{Path, PathBuf};

/// One file of the tree.
pub(super) struct File {
    /// From the root of the repository, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
}

/// A Rust file, cut into what is code and what is text.
pub(super) struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    /// The file with comments and the insides of literals blanked, so that places stay the same.
    pub code: String,
    /// String literals: where they start and what they say, escapes as written.
    pub strings: Vec<(usize, String)>,
}

/// The root of the repository.
pub(super) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("the crate is a folder of the repository")
        .to_owned()
}

/// Every file of the repository with one of these endings (all for an empty list), in order of its
/// path. Build output and what git keeps for itself are left out.
pub(super) fn files(endings: &[&str]) -> Vec<File> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = entry.path();
            if !path.is_dir() {
                // In a linked worktree `.git` is a file that says where the repository is.
                if name != ".git" {
                    into.push(path);
                }
            } else if name == ".ci" || !(name == "target" || name.starts_with('.')) {
                walk(&path, into);
            }
        }
    }
    let root = root();
    let mut paths = vec![];
    walk(&root, &mut paths);
    paths.sort();
    let wanted = |path: &PathBuf| {
        let name = path.to_string_lossy();
        endings.is_empty() || endings.iter().any(|ending| name.ends_with(ending))
    };
    let read = |path: PathBuf| {
        let relative = path.strip_prefix(&root).unwrap().to_str().unwrap();
        // A file that is no text (a picture) is no matter of these fences.
        let text = fs::read_to_string(&path).ok()?;
        Some(File {
            path: relative.to_owned(),
            text,
        })
    };
    paths.into_iter().filter(wanted).filter_map(read).collect()
}

/// Every Rust file below these folders.
pub(super) fn rust(folders: &[&str]) -> Vec<Source> {
    let inside =
        |path: &str| folders.is_empty() || folders.iter().any(|folder| path.starts_with(folder));
    let files = files(&[".rs"])
        .into_iter()
        .filter(|file| inside(&file.path));
    files
        .map(|file| Source::of(&file.path, &file.text))
        .collect()
}

impl Source {
    /// Cuts a file.
    pub(super) fn of(path: &str, text: &str) -> Self {
        let (code, strings) = lex(text);
        Self {
            path: path.to_owned(),
            code,
            strings,
        }
    }

    /// The same without its test code: nothing of a file that is all tests, and nothing of inline
    /// modules behind `#[cfg(test)]`.
    pub(super) fn without_tests(mut self) -> Self {
        if is_tests(&self.path) {
            return Self {
                code: String::new(),
                strings: vec![],
                ..self
            };
        }
        while let Some(module) = test_module(&self.code) {
            self.strings.retain(|(place, _)| !module.contains(place));
            let blank: String = self.code[module.clone()]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' })
                .collect();
            self.code.replace_range(module, &blank);
        }
        self
    }

    /// `path:line` of every place where `word` stands as a word of the code.
    pub(super) fn mentions(&self, word: &str) -> Vec<String> {
        places(&self.code, word)
            .into_iter()
            .map(|place| self.at(place))
            .collect()
    }

    /// `path:line`.
    pub(super) fn at(&self, place: usize) -> String {
        let line = self.code.as_bytes()[..place]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        format!("{}:{}", self.path, line + 1)
    }
}

/// True for a file that holds tests or helpers of tests and nothing of the product.
pub(super) fn is_tests(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    matches!(name, "tests.rs" | "testing.rs")
        || name.ends_with("_tests.rs")
        || folders.split('/').any(|folder| folder == "tests")
}

/// Where `word` stands in `text`, with no letter, digit or `_` beside its own ends.
pub(super) fn places(text: &str, word: &str) -> Vec<usize> {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let whole = |place: usize| {
        let (before, after) = (
            text[..place].chars().next_back(),
            text[place + word.len()..].chars().next(),
        );
        !(part(before) && part(word.chars().next())
            || part(after) && part(word.chars().next_back()))
    };
    text.match_indices(word)
        .map(|(place, _)| place)
        .filter(|place| whole(*place))
        .collect()
}

/// The first `#[cfg(test)]` that an inline module follows, up to the end of that module.
fn test_module(code: &str) -> Option<std::ops::Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    code.match_indices(MARK).find_map(|(start, _)| {
        let open = start + code[start..].find(['{', ';'])?;
        let head = &code[start + MARK.len()..open];
        if !head.split_whitespace().any(|word| word == "mod") || code.as_bytes()[open] == b';' {
            return None;
        }
        let mut depth = 0;
        let close = code[open..].char_indices().find(|(_, c)| {
            depth += i32::from(*c == '{') - i32::from(*c == '}');
            depth == 0
        })?;
        Some(start..open + close.0 + 1)
    })
}

/// Blanks comments and literals.
fn lex(text: &str) -> (String, Vec<(usize, String)>) {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut strings = vec![];
    let mut place = 0;
    while place < bytes.len() {
        let rest = &bytes[place..];
        let word_before =
            place > 0 && (bytes[place - 1].is_ascii_alphanumeric() || bytes[place - 1] == b'_');
        let byte_string = place > 0
            && bytes[place - 1] == b'b'
            && !(place > 1 && bytes[place - 2].is_ascii_alphanumeric());
        let (end, inside) = if rest.starts_with(b"//") {
            let end = text[place..]
                .find('\n')
                .map_or(bytes.len(), |length| place + length);
            (end, place..end)
        } else if rest.starts_with(b"/*") {
            let end = place + comment_length(rest);
            (end, place..end)
        } else if rest[0] == b'r' && (!word_before || byte_string) && raw_hashes(rest).is_some() {
            let hashes = raw_hashes(rest).unwrap_or_default();
            let start = place + hashes + 2;
            let close = format!("\"{}", "#".repeat(hashes));
            let stop = text[start..]
                .find(&close)
                .map_or(bytes.len(), |length| start + length);
            strings.push((place, text[start..stop].to_owned()));
            ((stop + close.len()).min(bytes.len()), start..stop)
        } else if rest[0] == b'"' {
            let stop = place + 1 + quoted_length(&rest[1..], b'"');
            strings.push((place, text[place + 1..stop].to_owned()));
            ((stop + 1).min(bytes.len()), place + 1..stop)
        } else if rest[0] == b'\'' && is_char(&text[place..]) {
            let stop = place + 1 + quoted_length(&rest[1..], b'\'');
            (stop + 1, place + 1..stop)
        } else {
            (place + 1, place..place)
        };
        for byte in &mut code[inside] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        place = end;
    }
    (
        String::from_utf8(code).expect("whole characters were blanked"),
        strings,
    )
}

/// Block comments nest.
fn comment_length(bytes: &[u8]) -> usize {
    let (mut depth, mut place) = (0, 0);
    while place < bytes.len() {
        match bytes[place..] {
            [b'/', b'*', ..] => (depth, place) = (depth + 1, place + 2),
            [b'*', b'/', ..] => (depth, place) = (depth - 1, place + 2),
            _ => place += 1,
        }
        if depth == 0 {
            break;
        }
    }
    place
}

/// How many `#` stand between `r` and the quote of a raw string.
fn raw_hashes(bytes: &[u8]) -> Option<usize> {
    let hashes = bytes[1..].iter().take_while(|byte| **byte == b'#').count();
    (bytes.get(hashes + 1) == Some(&b'"')).then_some(hashes)
}

/// Bytes up to the closing quote; a backslash takes the byte after it along.
fn quoted_length(bytes: &[u8], quote: u8) -> usize {
    let mut place = 0;
    while place < bytes.len() && bytes[place] != quote {
        place += if bytes[place] == b'\\' { 2 } else { 1 };
    }
    place.min(bytes.len())
}

/// True for a character literal, false for a lifetime.
fn is_char(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => true,
        (_, after) => after == Some('\''),
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = r##"
        // select! one
        /* two /* nested */ unsafe */
        let a = "three \" unsafe"; let b = r#"four " unsafe"#; let c = b"five";
        let d = '"'; let e: &'static str = br"six"; let f = '\''; unsafe_word();
    "##;
    let source = Source::of("x.rs", text);
    assert_eq!(source.code.len(), text.len());
    assert!(source.mentions("unsafe").is_empty(), "{}", source.code);
    assert_eq!(source.mentions("unsafe_word"), ["x.rs:5"]);
    let strings: Vec<&str> = source
        .strings
        .iter()
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(
        strings,
        [r#"three \" unsafe"#, r#"four " unsafe"#, "five", "six"]
    );
}

#[test]
fn test_modules_are_left_out_and_the_rest_stays() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { \"s\"; }\n}\n#[cfg(test)]\nmod c;\nfn d() {}\n";
    let source = Source::of("api/src/x.rs", text).without_tests();
    assert_eq!(source.mentions("d"), ["api/src/x.rs:8"]);
    assert!(source.mentions("b").is_empty() && source.strings.is_empty());
    let tests = Source::of("api/src/x_tests.rs", text).without_tests();
    assert!(tests.mentions("a").is_empty());
}
