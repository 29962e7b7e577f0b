//! Completion and inspection.

use evcxr::CommandContext;
use jupyter_protocol::{CompleteReply, InspectReply, Media, MediaType};
use serde_json::{Map, Value, json};

use super::syntax::SHOW;

/// The byte offset of the character with this number; the end if there are not so many.
pub(super) fn byte_offset(code: &str, characters: usize) -> usize {
    code.char_indices().nth(characters).map_or(code.len(), |(offset, _)| offset)
}

/// How many characters end at or before this byte offset.
fn character_count(code: &str, offset: usize) -> usize {
    code.char_indices().take_while(|(start, _)| *start < offset).count()
}

/// Whether a name can hold this character.
pub(super) fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What could stand at the cursor, which counts characters.
pub(super) fn complete(context: &mut CommandContext, code: &str, cursor: usize) -> CompleteReply {
    let nothing =
        CompleteReply { cursor_start: cursor, cursor_end: cursor, ..CompleteReply::default() };
    let Ok(found) = context.completions(code, byte_offset(code, cursor)) else { return nothing };
    let mut completions = found.completions;
    completions.retain(|completion| !completion.code.starts_with(SHOW));
    for completion in &mut completions {
        // The arguments are the reader's to write; their names are in the label.
        if let Some(name) = completion.code.find('(') {
            completion.code.truncate(name);
        }
    }
    completions.sort_by(|a, b| a.code.cmp(&b.code));
    completions.dedup_by(|a, b| a.code == b.code);
    let cursor_start = character_count(code, found.start_offset);
    let cursor_end = character_count(code, found.end_offset);
    // What JupyterLab shows beside each.
    let kinds: Vec<Value> = completions
        .iter()
        .map(|completion| {
            json!({ "text": completion.code, "type": completion.kind, "start": cursor_start,
                    "end": cursor_end, "signature": completion.label })
        })
        .collect();
    let mut metadata = Map::new();
    metadata.insert("_jupyter_types_experimental".into(), kinds.into());
    let matches = completions.into_iter().map(|completion| completion.code).collect();
    CompleteReply { matches, cursor_start, cursor_end, metadata, ..CompleteReply::default() }
}

/// What the name at the cursor means.
pub(super) fn inspect(context: &mut CommandContext, code: &str, cursor: usize) -> InspectReply {
    let start = byte_offset(code, cursor);
    let end = code[start..].find(|c| !is_of_name(c)).map_or(code.len(), |length| start + length);
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
