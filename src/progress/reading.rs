//! What a progress bar says.

use std::time::Duration;

/// The state of a bar at one moment.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) label: String,
    pub(super) message: String,
    pub(super) position: u64,
    pub(super) total: u64,
    pub(super) elapsed: Duration,
    pub(super) ended: bool,
}

impl Reading {
    /// The share that is done, in [0, 1]; an empty task is done.
    fn share(&self) -> f64 {
        if self.total == 0 { 1.0 } else { (self.position as f64 / self.total as f64).min(1.0) }
    }

    /// The time that the rest will take at the pace so far; unknown before the first step.
    fn left(&self) -> Option<Duration> {
        let share = self.share();
        (share > 0.0).then(|| self.elapsed.mul_f64((1.0 - share) / share))
    }

    /// `370/1000`, the time, and the message, between middle dots.
    fn details(&self) -> String {
        let time = match (self.ended, self.left()) {
            (true, _) => format!("{} in all", clock(self.elapsed)),
            (false, Some(left)) => format!("{} left", clock(left)),
            (false, None) => "just begun".into(),
        };
        let mut parts = vec![format!("{}/{}", self.position, self.total), time];
        if !self.message.is_empty() {
            parts.push(self.message.clone());
        }
        parts.join(" · ")
    }

    /// One line of text.
    pub(super) fn line(&self) -> String {
        format!("{} {:.0} % · {}", self.label, 100.0 * self.share(), self.details())
    }

    /// A bar for a page, in the page's own colours.
    pub(super) fn html(&self) -> String {
        format!(
            "<div style=\"display:flex;gap:0.8em;align-items:center;font-variant-numeric:tabular-nums\">\
             <span>{}</span>\
             <progress value=\"{:.4}\" max=\"1\" style=\"width:16em\"></progress>\
             <span>{:.0} % · {}</span></div>",
            escape(&self.label),
            self.share(),
            100.0 * self.share(),
            escape(&self.details())
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `4.2 s`, `3:07`, `1:02:30`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else if seconds >= 60 {
        format!("{minutes}:{rest:02}")
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(position: u64, total: u64, seconds: u64) -> Reading {
        Reading {
            label: "training".into(),
            message: "loss < 1".into(),
            position,
            total,
            elapsed: Duration::from_secs(seconds),
            ended: false,
        }
    }

    #[test]
    fn tells_the_time_left_at_the_pace_so_far() {
        assert_eq!(reading(25, 100, 30).line(), "training 25 % · 25/100 · 1:30 left · loss < 1");
        assert_eq!(reading(0, 100, 0).line(), "training 0 % · 0/100 · just begun · loss < 1");
    }

    #[test]
    fn an_empty_task_is_done_and_more_than_all_is_all() {
        assert!(reading(0, 0, 1).line().contains("100 %"));
        assert!(reading(120, 100, 1).line().contains("100 %"));
    }

    #[test]
    fn html_escapes_what_the_reader_wrote() {
        let html = reading(1, 2, 1).html();
        assert!(html.contains("loss &lt; 1"), "{html}");
        assert!(html.contains("value=\"0.5000\""), "{html}");
    }

    #[test]
    fn clock_has_hours_when_needed() {
        assert_eq!(clock(Duration::from_millis(4230)), "4.2 s");
        assert_eq!(clock(Duration::from_secs(3750)), "1:02:30");
    }
}
