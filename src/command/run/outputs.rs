//! What cells put out, collected from the kernel's messages into the form of nbformat.

use jupyter_protocol::{JupyterMessageContent, Media, Stdio, Transient};
use serde_json::{Map, Value, json};

use super::notebook::lines;

/// The outputs of the cells of one notebook, by the cell's index.
pub struct Outputs {
    cells: Vec<Cell>,
}

#[derive(Clone, Default)]
struct Cell {
    outputs: Vec<Output>,
    count: Option<usize>,
    /// `clear_output(wait=True)` came: the next output takes the place of all there are.
    clear_before_next: bool,
}

#[derive(Clone)]
enum Output {
    Stream {
        name: &'static str,
        text: String,
    },
    Display {
        id: Option<String>,
        /// The execution count, of a result.
        count: Option<usize>,
        data: Media,
        metadata: Map<String, Value>,
    },
    Error {
        name: String,
        value: String,
        traceback: Vec<String>,
    },
}

impl Outputs {
    /// Nothing, for each of `cells` cells.
    pub fn new(cells: usize) -> Self {
        Self { cells: vec![Cell::default(); cells] }
    }

    /// Takes in a message that belongs to the cell at `index`.
    pub fn receive(&mut self, index: usize, content: &JupyterMessageContent) {
        if let JupyterMessageContent::UpdateDisplayData(update) = content {
            self.update(&update.transient, &update.data, &update.metadata);
            return;
        }
        let Some(cell) = self.cells.get_mut(index) else { return };
        match content {
            JupyterMessageContent::StreamContent(stream) => {
                let name = match stream.name {
                    Stdio::Stdout => "stdout",
                    Stdio::Stderr => "stderr",
                };
                cell.stream(name, &stream.text);
            }
            JupyterMessageContent::DisplayData(display) => cell.add(Output::Display {
                id: display_id(display.transient.as_ref()),
                count: None,
                data: display.data.clone(),
                metadata: display.metadata.clone(),
            }),
            JupyterMessageContent::ExecuteResult(result) => cell.add(Output::Display {
                id: display_id(result.transient.as_ref()),
                count: Some(result.execution_count.value()),
                data: result.data.clone(),
                metadata: result.metadata.clone(),
            }),
            JupyterMessageContent::ErrorOutput(error) => cell.add(Output::Error {
                name: error.ename.clone(),
                value: error.evalue.clone(),
                traceback: error.traceback.clone(),
            }),
            JupyterMessageContent::ClearOutput(clear) if clear.wait => {
                cell.clear_before_next = true;
            }
            JupyterMessageContent::ClearOutput(_) => cell.outputs.clear(),
            JupyterMessageContent::ExecuteInput(input) => {
                cell.count = Some(input.execution_count.value());
            }
            _ => {}
        }
    }

    /// Adds an error of ours to the cell at `index`, such as the end of its time.
    pub fn fail(&mut self, index: usize, name: &str, value: &str) {
        if let Some(cell) = self.cells.get_mut(index) {
            let traceback = vec![format!("{name}: {value}")];
            cell.add(Output::Error { name: name.into(), value: value.into(), traceback });
        }
    }

    /// The last error that the cell at `index` put out, as a reader should see it.
    pub fn error(&self, index: usize) -> Option<String> {
        self.cells.get(index)?.outputs.iter().rev().find_map(|output| match output {
            Output::Error { name, value, traceback } if traceback.is_empty() => {
                Some(format!("{name}: {value}"))
            }
            Output::Error { traceback, .. } => Some(traceback.join("\n")),
            _ => None,
        })
    }

    /// The execution count and the outputs of each cell, as nbformat has them.
    pub fn into_results(self) -> impl Iterator<Item = (Option<usize>, Vec<Value>)> {
        self.cells
            .into_iter()
            .map(|cell| (cell.count, cell.outputs.into_iter().map(Output::value).collect()))
    }

    /// Changes every display of this id, in whichever cell it is.
    fn update(&mut self, transient: &Transient, new: &Media, new_metadata: &Map<String, Value>) {
        for output in self.cells.iter_mut().flat_map(|cell| &mut cell.outputs) {
            if let Output::Display { id: id @ Some(_), data, metadata, .. } = output
                && *id == transient.display_id
            {
                *data = new.clone();
                *metadata = new_metadata.clone();
            }
        }
    }
}

impl Cell {
    fn add(&mut self, output: Output) {
        if std::mem::take(&mut self.clear_before_next) {
            self.outputs.clear();
        }
        self.outputs.push(output);
    }

    /// Text of the same stream goes on where the last output ended.
    fn stream(&mut self, name: &'static str, more: &str) {
        match self.outputs.last_mut() {
            Some(Output::Stream { name: last, text })
                if *last == name && !self.clear_before_next =>
            {
                text.push_str(more);
            }
            _ => self.add(Output::Stream { name, text: more.to_owned() }),
        }
    }
}

impl Output {
    fn value(self) -> Value {
        match self {
            Self::Stream { name, text } => {
                json!({ "output_type": "stream", "name": name, "text": lines(&text) })
            }
            Self::Display { count: None, data, metadata, .. } => json!({
                "output_type": "display_data", "data": bundle(&data), "metadata": metadata,
            }),
            Self::Display { count, data, metadata, .. } => json!({
                "output_type": "execute_result", "execution_count": count,
                "data": bundle(&data), "metadata": metadata,
            }),
            Self::Error { name, value, traceback } => json!({
                "output_type": "error", "ename": name, "evalue": value, "traceback": traceback,
            }),
        }
    }
}

fn display_id(transient: Option<&Transient>) -> Option<String> {
    transient?.display_id.clone()
}

/// A MIME bundle as notebooks keep it: what is text, in lines; JSON and binary data as they are.
fn bundle(data: &Media) -> Value {
    let mut bundle = serde_json::to_value(data).unwrap_or_else(|_| json!({}));
    for (mime, value) in bundle.as_object_mut().into_iter().flatten() {
        let is_text = mime.starts_with("text/")
            || ["image/svg+xml", "application/javascript"].contains(&mime.as_str());
        if let (true, Some(text)) = (is_text, value.as_str()) {
            *value = lines(text);
        }
    }
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outputs of one cell that receives these messages.
    fn collect(messages: &[(&str, Value)]) -> Vec<Value> {
        let mut outputs = Outputs::new(1);
        receive(&mut outputs, 0, messages);
        outputs.into_results().next().unwrap().1
    }

    fn receive(outputs: &mut Outputs, cell: usize, messages: &[(&str, Value)]) {
        for (kind, content) in messages {
            let content = JupyterMessageContent::from_type_and_content(kind, content.clone());
            outputs.receive(cell, &content.unwrap());
        }
    }

    fn out(text: &str) -> (&'static str, Value) {
        ("stream", json!({ "name": "stdout", "text": text }))
    }

    fn plain(text: &str, id: Option<&str>) -> (&'static str, Value) {
        let transient = id.map_or(json!({}), |id| json!({ "display_id": id }));
        let data = json!({ "text/plain": text });
        ("display_data", json!({ "data": data, "metadata": {}, "transient": transient }))
    }

    fn update(text: &str, id: &str) -> (&'static str, Value) {
        let (_, mut content) = plain(text, Some(id));
        content["metadata"] = json!({ "updated": true });
        ("update_display_data", content)
    }

    #[test]
    fn streams_go_on_until_something_comes_between() {
        let error = ("stream", json!({ "name": "stderr", "text": "e\n" }));
        let stream = |name, text| json!({ "output_type": "stream", "name": name, "text": text });
        assert_eq!(
            collect(&[out("a"), out("b\nc"), error, out("d"), plain("x", None), out("e")]),
            [
                stream("stdout", json!(["ab\n", "c"])),
                stream("stderr", json!(["e\n"])),
                stream("stdout", json!(["d"])),
                json!({ "output_type": "display_data", "data": { "text/plain": ["x"] },
                        "metadata": {} }),
                stream("stdout", json!(["e"])),
            ]
        );
    }

    #[test]
    fn an_update_reaches_every_display_of_its_id_and_adds_none() {
        let mut outputs = Outputs::new(2);
        receive(&mut outputs, 0, &[plain("a", Some("1")), plain("b", Some("2"))]);
        receive(&mut outputs, 1, &[plain("c", Some("1")), plain("d", None), update("new", "1")]);
        let cells: Vec<_> = outputs.into_results().map(|(_, outputs)| outputs).collect();
        let texts = |cell: &[Value]| -> Vec<_> {
            cell.iter().map(|output| output["data"]["text/plain"][0].clone()).collect()
        };
        assert_eq!(texts(&cells[0]), ["new", "b"]);
        assert_eq!(texts(&cells[1]), ["new", "d"]);
        assert_eq!(cells[0][0]["metadata"], json!({ "updated": true }));
    }

    #[test]
    fn clear_output_clears_at_once_or_with_the_next_output() {
        let clear = |wait: bool| ("clear_output", json!({ "wait": wait }));
        assert_eq!(collect(&[out("a"), clear(false)]), [] as [Value; 0]);
        // Waiting: nothing comes, so nothing goes.
        assert_eq!(collect(&[out("a"), clear(true)]).len(), 1);
        let left = collect(&[out("a"), plain("b", None), clear(true), out("c"), out("d")]);
        assert_eq!(left, [json!({ "output_type": "stream", "name": "stdout", "text": ["cd"] })]);
        // A cleared display is gone: its update finds nothing.
        let left = collect(&[plain("a", Some("1")), clear(false), update("b", "1")]);
        assert_eq!(left, [] as [Value; 0]);
    }

    #[test]
    fn results_and_errors_have_their_own_form() {
        let data = json!({ "text/plain": "1\n2", "application/json": { "a": "x\ny" },
                           "image/png": "aGk=", "image/svg+xml": "<svg>\n</svg>" });
        let mut outputs = Outputs::new(1);
        receive(
            &mut outputs,
            0,
            &[
                ("execute_input", json!({ "code": "", "execution_count": 7 })),
                ("execute_result", json!({ "data": data, "metadata": {}, "execution_count": 7 })),
                ("error", json!({ "ename": "E", "evalue": "v", "traceback": ["t1", "t2"] })),
                ("status", json!({ "execution_state": "idle" })),
            ],
        );
        assert_eq!(outputs.error(0), Some("t1\nt2".into()));
        let (count, values) = outputs.into_results().next().unwrap();
        assert_eq!(count, Some(7));
        assert_eq!(
            values,
            [
                json!({ "output_type": "execute_result", "execution_count": 7, "metadata": {},
                        "data": { "text/plain": ["1\n", "2"], "image/png": "aGk=",
                                  "application/json": { "a": "x\ny" },
                                  "image/svg+xml": ["<svg>\n", "</svg>"] } }),
                json!({ "output_type": "error", "ename": "E", "evalue": "v",
                        "traceback": ["t1", "t2"] }),
            ]
        );
    }
}
