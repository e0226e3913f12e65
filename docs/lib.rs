//! What the pages of Counterfoil must be: of one kind, linked to things that exist, and one sentence
//! to a line.
//!
//! The functions read Markdown as text and never write it. The tests of this crate call them for
//! every page of the repository.

/// The five kinds of pages. A page is one of them and says so at its top.
pub const KINDS: [&str; 5] = ["tutorial", "how-to", "reference", "explanation", "decision"];

/// Lines in which a page must say its kind.
pub const HEAD_LINES: usize = 6;

/// The kind that a page says it is: `*Kind: reference.*`, or a line of its top that holds the word.
pub fn kind_of(page: &str) -> Option<&'static str> {
    let head: Vec<&str> = page.lines().take(HEAD_LINES).collect();
    let head = head.join(" ").to_lowercase();
    let words: Vec<&str> = head
        .split(|c: char| !(c.is_alphanumeric() || c == '-'))
        .collect();
    let said = words
        .iter()
        .find_map(|word| KINDS.iter().find(|kind| *kind == word));
    said.copied()
}

/// The lines of a page outside of fenced code, with their numbers from 1.
pub fn prose(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<&str> = None;
    page.lines().enumerate().filter_map(move |(index, line)| {
        let bare = line.trim_start();
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| bare.starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(close)) if open == close => fence = None,
            (None, None) => return Some((index + 1, line)),
            (Some(_), _) => {}
        }
        None
    })
}

/// Targets of the links and pictures of a page, with the line of each. Code spans hold no links.
pub fn links(page: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    for (number, line) in prose(page) {
        let line = without_code(line);
        for (place, _) in line.match_indices("](") {
            let target = line[place + 2..].split(')').next().unwrap_or_default();
            // A title may follow the target.
            let target = target.split_whitespace().next().unwrap_or_default();
            found.push((number, target.trim_matches(['<', '>']).to_owned()));
        }
        let reference = line
            .trim_start()
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "));
        if let Some((_, target)) = reference {
            found.push((number, target.trim().to_owned()));
        }
    }
    found
}

/// The names by which headings of a page are linked: lower case, spaces to `-`, no punctuation.
pub fn anchors(page: &str) -> Vec<String> {
    let headings = prose(page).filter_map(|(_, line)| {
        let text = line.trim_start_matches('#');
        (text.len() < line.len() && text.starts_with(' ')).then(|| text.trim())
    });
    let name = |text: &str| -> String {
        let kept = text.to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(name).collect()
}

/// Lines of prose that hold more than one sentence. Tables, quotes and headings are left alone.
pub fn crowded(page: &str) -> Vec<usize> {
    let plain = |line: &str| !line.trim_start().starts_with(['|', '>', '#', '<']);
    let lines = prose(page).filter(|(_, line)| plain(line));
    lines
        .filter(|(_, line)| sentences(&without_code(line)) > 1)
        .map(|(number, _)| number)
        .collect()
}

/// Ends of sentences: `.`, `?` or `!`, a space, and then a capital letter. The number of a list and
/// short words that end in a point are no sentences.
fn sentences(line: &str) -> usize {
    const SHORT: [&str; 6] = ["e.g", "i.e", "etc", "vs", "No", "cf"];
    let ends = line
        .match_indices(['.', '?', '!'])
        .filter(|(place, _)| line[place + 1..].starts_with(' '));
    let real = ends.filter(|(place, _)| {
        let (before, after) = (&line[..*place], line[place + 1..].trim_start());
        let word = before.rsplit([' ', '(']).next().unwrap_or_default();
        let number = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
        after.starts_with(char::is_uppercase) && !number && !SHORT.contains(&word)
    });
    real.count() + 1
}

/// Blanks what stands between backticks.
fn without_code(line: &str) -> String {
    let mut code = false;
    line.chars()
        .map(|c| {
            code ^= c == '`';
            if code || c == '`' { ' ' } else { c }
        })
        .collect()
}

#[cfg(test)]
mod tests;
