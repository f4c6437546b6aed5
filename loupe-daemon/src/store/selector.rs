//! Names of analyses as people write them: `nginx`, `nginx/wrk`, `nginx@124`, `nginx~1`, `124`. What they
//! mean among several is [`super::choice`]'s.

use std::fmt;

/// A name of an analysis: `124`, `nginx`, `nginx/wrk`, `nginx@124`, `nginx~1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// `None`: the number says it all.
    pub application: Option<String>,
    pub workload: Option<String>,
    pub which: Which,
}

/// Which of the analyses of a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    #[default]
    Best,
    Number(i64),
    /// So many before the best.
    Before(usize),
}

impl Selector {
    /// Reads a name; a workload that is named apart goes before that within the name.
    pub fn parse(text: &str, workload: Option<&str>) -> Selector {
        let number = text.strip_prefix('#').unwrap_or(text);
        if let Ok(id) = number.parse::<i64>() {
            return Selector {
                application: None,
                workload: workload.map(str::to_owned),
                which: Which::Number(id),
            };
        }
        let (name, which) = if let Some((name, id)) = suffix(text, '@') {
            (name, Which::Number(id))
        } else if let Some((name, back)) = suffix(text, '~') {
            (name, Which::Before(usize::try_from(back).unwrap_or(0)))
        } else {
            (text, Which::Best)
        };
        let (application, own) = match (name.split_once('/'), workload) {
            (Some((application, own)), None) => (application, Some(own)),
            (_, workload) => (name, workload),
        };
        Selector {
            application: Some(application.to_owned()),
            workload: own.map(str::to_owned),
            which,
        }
    }

    /// It names one analysis, whatever else there is.
    pub fn is_exact(&self) -> bool {
        self.which != Which::Best
    }
}

/// `nginx@124`: the name and the number, if it ends so.
fn suffix(text: &str, mark: char) -> Option<(&str, i64)> {
    let (name, digits) = text.rsplit_once(mark)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| digits.parse().ok()).flatten()?;
    (!name.is_empty()).then_some((name, number))
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(application) = &self.application else {
            return match self.which {
                Which::Number(id) => write!(f, "{id}"),
                _ => Ok(()),
            };
        };
        f.write_str(application)?;
        if let Some(workload) = &self.workload {
            write!(f, "/{workload}")?;
        }
        match self.which {
            Which::Best => Ok(()),
            Which::Number(id) => write!(f, "@{id}"),
            Which::Before(back) => write!(f, "~{back}"),
        }
    }
}
