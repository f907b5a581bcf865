//! Command line words, taken one by one.
//!
//! Each command takes what it knows and then calls [`Args::finish`], so that a word nobody knows is an error rather than
//! silently nothing. Leaves help texts to the commands.

use anyhow::{Context, bail};
use std::str::FromStr;

pub struct Args {
    words: Vec<String>,
}

impl Args {
    pub fn from_env() -> Args {
        Args { words: std::env::args().skip(1).collect() }
    }

    #[cfg(test)]
    pub fn of(words: &[&str]) -> Args {
        Args { words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    /// The next word that is not an option.
    pub fn word(&mut self) -> Option<String> {
        match self.words.first() {
            Some(first) if !first.starts_with("--") => Some(self.words.remove(0)),
            _ => None,
        }
    }

    /// Whether `--name` is there.
    pub fn flag(&mut self, name: &str) -> bool {
        let position = self.words.iter().position(|word| word == name);
        position.map(|at| self.words.remove(at)).is_some()
    }

    /// The value of `--name VALUE` or `--name=VALUE`.
    pub fn value(&mut self, name: &str) -> anyhow::Result<Option<String>> {
        let prefix = format!("{name}=");
        if let Some(at) = self.words.iter().position(|word| word.starts_with(&prefix)) {
            return Ok(Some(self.words.remove(at)[prefix.len()..].to_owned()));
        }
        let Some(at) = self.words.iter().position(|word| word == name) else { return Ok(None) };
        if self.words.get(at + 1).is_none_or(|word| word.starts_with("--")) {
            bail!("{name} needs a value");
        }
        self.words.remove(at);
        Ok(Some(self.words.remove(at)))
    }

    /// The value of `--name N`, read as a number.
    pub fn number<T: FromStr>(&mut self, name: &str) -> anyhow::Result<Option<T>>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let number =
            value.replace('_', "").parse().with_context(|| format!("{name} {value}: not a number"))?;
        Ok(Some(number))
    }

    /// Refuses whatever nobody took.
    pub fn finish(self) -> anyhow::Result<()> {
        match self.words.first() {
            Some(word) => bail!("`{word}` means nothing here"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    #[test]
    fn words_flags_and_values_come_in_any_order() {
        let mut args = Args::of(&["runs", "--quick", "--passes", "3", "--peers=restate,celery"]);
        assert_eq!(args.word().as_deref(), Some("runs"));
        assert_eq!(args.value("--peers").unwrap().as_deref(), Some("restate,celery"));
        assert_eq!(args.number::<u32>("--passes").unwrap(), Some(3));
        assert!(args.flag("--quick") && !args.flag("--quick"));
        args.finish().unwrap();
    }

    #[test]
    fn a_word_nobody_took_is_refused() {
        let mut args = Args::of(&["tidy", "--fast"]);
        args.word();
        assert_eq!(args.finish().unwrap_err().to_string(), "`--fast` means nothing here");
    }

    #[test]
    fn a_value_that_is_missing_or_no_number_is_refused() {
        assert!(Args::of(&["--passes", "--quick"]).value("--passes").is_err());
        assert!(Args::of(&["--passes", "two"]).number::<u32>("--passes").is_err());
        assert_eq!(Args::of(&["--images", "1_000_000"]).number::<u64>("--images").unwrap(), Some(1_000_000));
    }
}
