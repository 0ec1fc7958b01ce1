//! Breaking texts into lines.

/// Lines no wider than `width`. Breaks at spaces, as Korean is set too; a word wider than a line is broken anywhere, but not in front of what closes.
pub fn wrap(text: &str, width: f32, measure: &dyn Fn(&str) -> f32) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if measure(&longer) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line = broken(word, width, measure, &mut lines);
        }
        lines.push(line);
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// Pushes the full lines of one word, and gives what is left of it.
fn broken(word: &str, width: f32, measure: &dyn Fn(&str) -> f32, lines: &mut Vec<String>) -> String {
    /// What closes, one after the other.
    const MOST_HANGING: usize = 3;
    let mut line = String::new();
    let mut hanging = 0;
    for character in word.chars() {
        line.push(character);
        if measure(&line) <= width || line.chars().count() == 1 {
            continue;
        }
        if closes(character) && hanging < MOST_HANGING {
            hanging += 1;
            continue;
        }
        hanging = 0;
        line.pop();
        lines.push(std::mem::replace(&mut line, character.to_string()));
    }
    line
}

/// What may not begin a line. It hangs over by itself.
fn closes(character: char) -> bool {
    ".,;:!?)]}%’”」』》、。".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, width: f32) -> Vec<String> {
        wrap(text, width, &|t| t.chars().count() as f32)
    }

    #[test]
    fn at_spaces_and_within_what_is_too_long() {
        assert_eq!(lines("one two three", 7.0), ["one two", "three"]);
        assert_eq!(lines("종양이 의심되는 부위입니다", 8.0), ["종양이 의심되는", "부위입니다"]);
        assert_eq!(lines("0123456789", 4.0), ["0123", "4567", "89"]);
        assert_eq!(lines("a 0123456789 b", 4.0), ["a", "0123", "4567", "89 b"]);
        assert_eq!(lines("가나다라. 마", 4.0), ["가나다라.", "마"]);
        assert_eq!(lines("one\ntwo", 20.0), ["one", "two"]);
        assert_eq!(lines("", 4.0), [""]);
        assert_eq!(lines("0123.........", 4.0), ["0123...", "......"]);
    }

    #[test]
    fn nothing_gets_lost() {
        let text = "The model sees signs of 출혈 (87.0 %) in 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.";
        for width in 1..40 {
            let joined: String = lines(text, width as f32).concat();
            assert_eq!(joined.replace(' ', ""), text.replace(' ', ""), "{width}");
        }
    }
}
