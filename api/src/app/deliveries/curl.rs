//! A request as one line for a shell of the POSIX kind.

/// The line. What is in single quotes is taken as it is by every such shell, also `!` and `$`; a
/// single quote itself stands outside of them. The body is given as it is: `--data-raw` takes no
/// `@file`, and `--globoff` leaves brackets of an address alone.
pub(super) fn line(url: &str, headers: &[(String, String)], body: &str) -> String {
    let mut line = String::from("curl --globoff --include --max-time 15 --request POST");
    for (name, value) in headers {
        line.push_str(" --header ");
        line.push_str(&quoted(&format!("{name}: {value}")));
    }
    line.push_str(" --data-raw ");
    line.push_str(&quoted(body));
    line.push_str(" --url ");
    line.push_str(&quoted(url));
    line
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_request_is_read_by_the_shell() {
        let headers = [("x-note".to_owned(), "it's $HOME `id` !1 \\".to_owned())];
        assert_eq!(
            line("https://[::1]/a?b='c'&d=1", &headers, r#"{"a":"'"}"#),
            concat!(
                "curl --globoff --include --max-time 15 --request POST",
                r#" --header 'x-note: it'\''s $HOME `id` !1 \'"#,
                r#" --data-raw '{"a":"'\''"}'"#,
                r#" --url 'https://[::1]/a?b='\''c'\''&d=1'"#
            )
        );
    }
}
