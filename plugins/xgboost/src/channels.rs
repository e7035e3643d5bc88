//! Which channel is which. The type decides, then the name, never the position: the predecessor
//! took the second channel for validation data whatever it was.

use plugin_sdk::{Channel, ChannelType};

/// The job's channels by what they are for.
#[derive(Debug, Default)]
pub(crate) struct Inputs<'j> {
    pub(crate) train: Option<&'j Channel<'j>>,
    pub(crate) validation: Option<&'j Channel<'j>>,
    pub(crate) test: Option<&'j Channel<'j>>,
    /// Positions of channels for whose purpose there is another one already.
    pub(crate) surplus: Vec<usize>,
}

const TYPES: [ChannelType; 3] = [ChannelType::Train, ChannelType::Validation, ChannelType::Test];

impl<'j> Inputs<'j> {
    pub(crate) fn of(channels: &'j [Channel<'j>]) -> Self {
        let mut inputs = Self::default();
        let mut rest: Vec<(usize, &Channel<'_>)> = Vec::new();
        for wanted in TYPES {
            let of_type =
                || channels.iter().enumerate().filter(move |(_, c)| c.channel_type == wanted);
            // Clients that know no types call everything `train` and tell channels apart by name.
            let chosen =
                of_type().find(|(_, c)| type_named(&c.name) == Some(wanted)).or(of_type().next());
            if let Some((position, channel)) = chosen {
                *inputs.slot(wanted) = Some(channel);
                rest.extend(of_type().filter(|(other, _)| *other != position));
            }
        }
        for (position, channel) in rest {
            match type_named(&channel.name).map(|named| inputs.slot(named)) {
                Some(slot @ None) => *slot = Some(channel),
                _ => inputs.surplus.push(position),
            }
        }
        inputs.find_train_by_name();
        inputs
    }

    /// A channel called `train` is the training data if no other channel claims to be.
    fn find_train_by_name(&mut self) {
        if self.train.is_some() {
            return;
        }
        for slot in [&mut self.validation, &mut self.test] {
            if slot.is_some_and(|c| type_named(&c.name) == Some(ChannelType::Train)) {
                self.train = slot.take();
                return;
            }
        }
    }

    fn slot(&mut self, channel_type: ChannelType) -> &mut Option<&'j Channel<'j>> {
        match channel_type {
            ChannelType::Train => &mut self.train,
            ChannelType::Validation => &mut self.validation,
            ChannelType::Test => &mut self.test,
        }
    }
}

fn type_named(name: &str) -> Option<ChannelType> {
    match name {
        "train" | "training" => Some(ChannelType::Train),
        "validation" | "valid" | "val" | "eval" => Some(ChannelType::Validation),
        "test" => Some(ChannelType::Test),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each channel is `name:type`; the answer names train, validation, test and surplus.
    #[track_caller]
    fn check(channels: &[&str], expected: &str) {
        let json: Vec<String> = channels
            .iter()
            .map(|c| {
                let (name, channel_type) = c.split_once(':').unwrap();
                format!(r#"{{"name":"{name}","type":"{channel_type}"}}"#)
            })
            .collect();
        let json = format!("[{}]", json.join(","));
        let channels: Vec<Channel<'_>> = serde_json::from_str(&json).unwrap();
        let inputs = Inputs::of(&channels);
        let name = |c: Option<&Channel<'_>>| c.map_or_else(|| "-".into(), |c| c.name.to_string());
        let answer = format!(
            "{} {} {} {:?}",
            name(inputs.train),
            name(inputs.validation),
            name(inputs.test),
            inputs.surplus
        );
        assert_eq!(answer, expected);
    }

    #[test]
    fn type_comes_before_name_and_position_never_counts() {
        check(&[], "- - - []");
        check(&["a:train"], "a - - []");
        check(&["b:validation", "a:train"], "a b - []");
        check(&["c:test", "b:validation", "a:train"], "a b c []");
        check(&["train:validation", "validation:train"], "validation train - []");
    }

    #[test]
    fn names_tell_apart_what_types_do_not() {
        check(&["train:train", "val:train"], "train val - []");
        check(&["validation:train", "train:train", "test:train"], "train validation test []");
        check(&["train:test"], "train - - []");
    }

    #[test]
    fn a_second_channel_for_the_same_purpose_is_surplus() {
        check(&["a:train", "b:train"], "a - - [1]");
        check(&["train:train", "val:train", "v:validation"], "train v - [1]");
    }
}
