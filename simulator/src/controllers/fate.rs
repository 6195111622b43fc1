//! What a container is told to do, by an annotation of its pod or by the name of its image.

use serde_json::Value;

use crate::object;

/// The annotation of a pod that says what its containers do: one of the words of [`Fate::parse`]. It goes before what their
/// images say.
pub(super) const ANNOTATION: &str = "simulator/fate";

/// What becomes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs until it is ended, and is ready.
    Runs,
    /// It runs until it is ended, and never becomes ready.
    NeverReady,
    /// Its image can't be pulled.
    NoImage,
    /// It ends by itself, each time, with this code.
    Exits(i64),
}

impl Fate {
    /// What a container of a pod is told; `own` if nobody says anything.
    pub(super) fn of(pod: &Value, container: &Value, own: Self) -> Self {
        let annotation = object::metadata(pod).get("annotations").and_then(|all| all[ANNOTATION].as_str());
        let image = container["image"].as_str().unwrap_or_default();
        let mut words = image.split(['/', ':', '@']);
        annotation.and_then(Self::parse).or_else(|| words.find_map(Self::parse)).unwrap_or(own)
    }

    /// `ready`, `never-ready`, `missing` (the image), `crash` (code 1), `crash-3` (code 3), `exit-0`. In an image each part
    /// between `/`, `:` and `@` is such a word or none: `shop/missing`, `nginx:crash-3`.
    fn parse(word: &str) -> Option<Self> {
        let code = |text: &str| text.parse().ok().filter(|code| (0..=255).contains(code)).map(Self::Exits);
        match word {
            "ready" => Some(Self::Runs),
            "never-ready" => Some(Self::NeverReady),
            "missing" => Some(Self::NoImage),
            "crash" => Some(Self::Exits(1)),
            word => word.strip_prefix("crash-").or_else(|| word.strip_prefix("exit-")).and_then(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(image: &str, annotation: Option<&str>) -> Fate {
        let pod = json!({"metadata": {"annotations": {ANNOTATION: annotation}}});
        Fate::of(&pod, &json!({"image": image}), Fate::Runs)
    }

    #[test]
    fn a_part_of_an_image_says_what_becomes_of_its_container() {
        for (image, fate) in [
            ("nginx", Fate::Runs),
            ("nginx:missing", Fate::NoImage),
            ("registry.example.com/missing/web:1", Fate::NoImage),
            ("web:crash", Fate::Exits(1)),
            ("web:crash-137", Fate::Exits(137)),
            ("web:crash-course", Fate::Runs),
            ("web:exit-0", Fate::Exits(0)),
            ("never-ready", Fate::NeverReady),
        ] {
            assert_eq!(told(image, None), fate, "{image}");
        }
    }

    #[test]
    fn an_annotation_goes_before_the_image() {
        assert_eq!(told("web:missing", Some("ready")), Fate::Runs);
        assert_eq!(told("web:missing", Some("no word")), Fate::NoImage);
    }
}
