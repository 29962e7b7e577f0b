//! Completion and inspection.

use evcxr::CommandContext;
use jupyter_protocol::{CompleteReply, InspectReply, Media, MediaType};

/// The byte offset of the character with this number; the end if there are not so many.
fn byte_offset(code: &str, characters: usize) -> usize {
    code.char_indices().nth(characters).map_or(code.len(), |(offset, _)| offset)
}

/// How many characters end at or before this byte offset.
fn character_count(code: &str, offset: usize) -> usize {
    code.char_indices().take_while(|(start, _)| *start < offset).count()
}

/// What could stand at the cursor, which counts characters.
pub(super) fn complete(context: &mut CommandContext, code: &str, cursor: usize) -> CompleteReply {
    let nothing =
        CompleteReply { cursor_start: cursor, cursor_end: cursor, ..CompleteReply::default() };
    let Ok(found) = context.completions(code, byte_offset(code, cursor)) else { return nothing };
    let mut matches: Vec<String> =
        found.completions.into_iter().map(|completion| completion.code).collect();
    matches.sort();
    matches.dedup();
    CompleteReply {
        matches,
        cursor_start: character_count(code, found.start_offset),
        cursor_end: character_count(code, found.end_offset),
        ..CompleteReply::default()
    }
}

/// What the name at the cursor means.
pub(super) fn inspect(context: &mut CommandContext, code: &str, cursor: usize) -> InspectReply {
    let start = byte_offset(code, cursor);
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    let end = code[start..].find(|c| !in_name(c)).map_or(code.len(), |length| start + length);
    match context.hover_at(code, end) {
        Ok((text, html)) if text != "No documentation found" => InspectReply {
            found: true,
            data: Media::new(vec![MediaType::Plain(text), MediaType::Html(html)]),
            ..InspectReply::default()
        },
        _ => InspectReply::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_bytes() {
        let code = "λé = x";
        assert_eq!(byte_offset(code, 2), 4);
        assert_eq!(byte_offset(code, 99), code.len());
        assert_eq!(character_count(code, 4), 2);
        assert_eq!(character_count(code, code.len()), 6);
    }
}
