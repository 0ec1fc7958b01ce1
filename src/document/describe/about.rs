//! Which model, which weights, when.

use super::super::{Block, Fact, number};
use super::Teller;

impl Teller<'_, '_> {
    pub(super) fn about(&self) -> Vec<Block> {
        let (report, words) = (self.answered.report, self.words);
        let fact = |key: &str, value: String, wide| Fact { key: key.to_owned(), value, wide };
        let mut facts = vec![
            fact(words.model, report.model.clone(), false),
            fact(words.version, report.version.clone(), false),
            fact(words.created, number::moment(&report.created), false),
            fact(words.weights, report.weights.clone(), true),
        ];
        if report.demo {
            facts.insert(2, fact(words.weights, words.demo.to_owned(), false));
        }
        if let Some(answers) = report.answers {
            facts.push(fact(words.combined, format!("{} × {}", answers.views, answers.models), false));
        }
        if let Some(thresholds) = &report.thresholds {
            facts.push(fact(words.thresholds, thresholds.clone(), true));
        }
        facts.push(fact(words.program, self.program.to_owned(), false));
        vec![Block::Heading(words.about.to_owned()), Block::Facts(facts)]
    }
}
