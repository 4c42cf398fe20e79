//! What each directive does to the rule set that is being loaded.

use super::exceptions::{ActionUpdate, EXCEPTIONS_MAX, Removal, TargetUpdate, Which};
use super::{Defaults, LINKS_MAX, Loader, RawLink, RawRule, RawStep, beside, index_of, lines};
use crate::parse::actions::{self, Action};
use crate::parse::{Problem, controls, operators, targets};
use crate::place::Place;
use crate::rule::{Phase, Text};
use crate::text::Escapes;

impl Loader<'_> {
    pub(super) fn directive(&mut self, text: &str, place: &Place) -> Result<(), Vec<Problem>> {
        let words = lines::words(text).map_err(one)?;
        let Some((name, words)) = words.split_first() else { return Ok(()) };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match name.to_ascii_lowercase().as_str() {
            "secrule" => self.rule(&words, place),
            "secaction" => self.action(&words, place),
            "secmarker" => self.marker(name, &words, place).map_err(one),
            "secdefaultaction" => self.default_action(name, &words, place),
            "include" => self.include(name, &words, place, true).map_err(one),
            "includeoptional" => self.include(name, &words, place, false).map_err(one),
            "secruleremovebyid" => {
                self.exception_fits(name).map_err(one)?;
                let ids = controls::id_ranges(name, &words.join(" ")).map_err(one)?;
                self.exceptions.removals.push((place.clone(), Removal::Ids(ids)));
                Ok(())
            }
            "secruleremovebytag" | "secruleremovebymsg" => {
                self.removal(name, &words, place).map_err(one)
            }
            "secruleupdatetargetbyid" | "secruleupdatetargetbytag" | "secruleupdatetargetbymsg" => {
                self.target_update(name, &words, place).map_err(one)
            }
            "secruleupdateactionbyid" => self.action_update(name, &words, place),
            _ => self.setting(name, &words, place).map_err(one),
        }
    }

    fn rule(&mut self, words: &[&str], place: &Place) -> Result<(), Vec<Problem>> {
        let (variables, operator, list) = match words {
            [variables, operator] => (variables, operator, ""),
            [variables, operator, list] => (variables, operator, *list),
            [] | [_] => {
                return Err(one(Problem::new("SecRule", "has no operator")
                    .hint("write `SecRule VARIABLES \"@operator argument\" \"actions\"`")));
            }
            [_, _, _, more, ..] => {
                return Err(one(Problem::new("SecRule", format!("`{more}` is one word too many"))
                    .hint("put operator and actions each between `\"`")));
            }
        };
        let mut problems = Vec::new();
        let targets = targets::parse(variables).map_err(|problem| problems.push(problem)).ok();
        let test = operators::parse(operator, self.files, &place.file)
            .map_err(|problem| problems.push(problem))
            .ok();
        let actions = actions::parse(list).map_err(|wrong| problems.extend(wrong)).ok();
        match (targets, test, actions) {
            (Some(targets), Some(test), Some(actions)) => self.link(RawLink {
                place: place.clone(),
                directive: "SecRule",
                targets: targets.included,
                excluded: targets.excluded,
                test: Some(test),
                actions,
            }),
            _ => Err(self.broken_link(list, problems)),
        }
    }

    /// A link that was not understood takes its chain with it.
    fn broken_link(&mut self, list: &str, problems: Vec<Problem>) -> Vec<Problem> {
        self.open = None;
        self.broken = list.split(',').any(|word| word.trim().eq_ignore_ascii_case("chain"));
        problems
    }

    fn action(&mut self, words: &[&str], place: &Place) -> Result<(), Vec<Problem>> {
        let list = single("SecAction", words).map_err(one)?;
        let actions = actions::parse(list).map_err(|problems| self.broken_link(list, problems))?;
        self.link(RawLink {
            place: place.clone(),
            directive: "SecAction",
            targets: Vec::new(),
            excluded: Vec::new(),
            test: None,
            actions,
        })
    }

    /// Starts a rule, or adds to the chain that is open.
    fn link(&mut self, link: RawLink) -> Result<(), Vec<Problem>> {
        let chain = link.actions.contains(&Action::Chain);
        if link.actions.iter().any(|action| matches!(action, Action::Namespace(_))) {
            let problem =
                Problem::new("xmlns", "has no effect: names are compared without namespace");
            self.notice(&link.place, problem.hint("leave it out"));
        }
        self.tell_repeated(&link.actions, &link.place);
        if self.broken {
            self.broken = chain;
            return Ok(());
        }
        let mut links = match self.open.take() {
            Some(links) => {
                if let Err(problem) = self.check_link(&link) {
                    self.broken = chain;
                    return Err(one(problem));
                }
                links
            }
            None => Vec::new(),
        };
        let place = link.place.clone();
        links.push(link);
        if links.len() > LINKS_MAX {
            self.broken = chain;
            return Err(one(
                Problem::new("chain", format!("over {LINKS_MAX} links")).hint("split the chain")
            ));
        }
        if chain {
            self.open = Some(links);
            return Ok(());
        }
        let Some(starter) = links.first() else { return Ok(()) };
        let (directive, start) = (starter.directive, starter.place.clone());
        let id = starter.actions.iter().rev().find_map(|action| match action {
            Action::Id(id) => Some(*id),
            _ => None,
        });
        let Some(id) = id.filter(|id| *id > 0) else {
            let problem =
                Problem::new(directive, "has no id").hint("add `id:` and a number of its own");
            self.problem(&start, problem);
            return Ok(());
        };
        if let Some(first) = self.ids.get(&id) {
            let problem = Problem::new(format!("id:{id}"), format!("is taken: {first} has it"))
                .hint("give one of the two rules another id");
            self.problem(&start, problem);
            return Ok(());
        }
        self.ids.insert(id, start);
        self.push_step(RawStep::Rule(RawRule { id, links }), &place);
        Ok(())
    }

    /// What a link may not have, or has without effect.
    fn check_link(&mut self, link: &RawLink) -> Result<(), Problem> {
        for action in &link.actions {
            match action {
                Action::Disruptive(_) => {
                    return Err(Problem::new(action.name(), "stands in a link of a chain")
                        .hint("put it into the chain's first rule"));
                }
                Action::Id(_)
                | Action::Phase(_)
                | Action::Block
                | Action::Revision(_)
                | Action::Version(_)
                | Action::Maturity(_)
                | Action::Accuracy(_) => {
                    let problem = Problem::new(action.name(), "has no effect in a link of a chain")
                        .hint("the chain's first rule decides");
                    self.notice(&link.place, problem);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn marker(&mut self, name: &str, words: &[&str], place: &Place) -> Result<(), Problem> {
        let label = single(name, words)?.trim();
        if label.is_empty() {
            return Err(Problem::new(name, "has no name").hint("write `SecMarker NAME`"));
        }
        self.close_chain("a marker comes");
        self.push_step(RawStep::Marker(label.to_owned()), place);
        Ok(())
    }

    fn default_action(
        &mut self,
        name: &str,
        words: &[&str],
        place: &Place,
    ) -> Result<(), Vec<Problem>> {
        let actions = actions::parse(single(name, words).map_err(one)?)?;
        let mut problems = Vec::new();
        for action in &actions {
            match action {
                Action::Id(_)
                | Action::Chain
                | Action::Message(_)
                | Action::LogData(_)
                | Action::Severity(_)
                | Action::Revision(_)
                | Action::Version(_)
                | Action::Maturity(_)
                | Action::Accuracy(_)
                | Action::Skip(_)
                | Action::SkipAfter(_)
                | Action::Deed(_)
                | Action::Namespace(_)
                | Action::Capture
                | Action::MultiMatch => problems.push(
                    Problem::new(action.name(), format!("cannot stand in `{name}`"))
                        .hint("put it into the rules that need it"),
                ),
                Action::Block => {
                    let problem = Problem::new("block", format!("means nothing in `{name}`"))
                        .hint("leave it out: the other action is what `block` comes to");
                    self.notice(place, problem);
                }
                Action::Transform(None) => problems.push(
                    Problem::new("t:none", format!("cannot stand in `{name}`"))
                        .hint("leave it out: nothing comes before"),
                ),
                _ => {}
            }
        }
        if !actions.iter().any(|action| matches!(action, Action::Disruptive(_))) {
            problems.push(
                Problem::new(name, "has no disruptive action")
                    .hint("add `pass` or `deny`: it is what `block` comes to"),
            );
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let phase = phase_of(&actions).unwrap_or_else(|| {
            let problem = Problem::new(name, "names no phase: phase 2 is meant");
            self.notice(place, problem.hint("add `phase:2`"));
            Phase::RequestBody
        });
        let Some(slot) = self.defaults.get_mut(index_of(phase)) else { return Ok(()) };
        if let Some(first) = slot {
            return Err(one(Problem::new(
                name,
                format!("phase {} has one already, at {}", phase as usize, first.place),
            )
            .hint("leave one of the two out")));
        }
        *slot = Some(Defaults { place: place.clone(), actions });
        Ok(())
    }

    fn include(
        &mut self,
        name: &str,
        words: &[&str],
        place: &Place,
        needed: bool,
    ) -> Result<(), Problem> {
        let path = beside(&place.file, single(name, words)?);
        if path.contains(['*', '?']) {
            let found = self.files.matching(&path);
            if found.is_empty() {
                let problem = Problem::new(path, "names no file");
                if needed {
                    return Err(problem.hint("check the path, or write `IncludeOptional`"));
                }
                self.notice(place, problem);
            }
            for file in found {
                self.file(&file, place);
            }
        } else if !needed && let Err(why) = self.files.read(&path) {
            self.notice(place, Problem::new(path, format!("is left out: {why}")));
        } else {
            self.file(&path, place);
        }
        Ok(())
    }

    fn exception_fits(&self, name: &str) -> Result<(), Problem> {
        if self.exceptions.count() < EXCEPTIONS_MAX {
            return Ok(());
        }
        Err(Problem::new(name, format!("over {EXCEPTIONS_MAX} exceptions"))
            .hint("use ranges, or exceptions by tag"))
    }

    fn removal(&mut self, name: &str, words: &[&str], place: &Place) -> Result<(), Problem> {
        self.exception_fits(name)?;
        let which = which(name, &words.join(" "))?;
        let removal = match which {
            Which::Tag(tag) => Removal::Tag(tag),
            Which::Message(message) => Removal::Message(message),
            Which::Ids(ids, _) => Removal::Ids(ids),
        };
        self.exceptions.removals.push((place.clone(), removal));
        Ok(())
    }

    fn target_update(&mut self, name: &str, words: &[&str], place: &Place) -> Result<(), Problem> {
        self.exception_fits(name)?;
        let (which_text, variables) = match words {
            [which, variables] => (which, variables),
            [_, _, _, ..] => {
                return Err(Problem::new(name, "cannot replace one variable by another")
                    .hint("exclude the old one with `!`, and add the new one"));
            }
            _ => {
                return Err(Problem::new(name, "has no variables")
                    .hint(format!("write `{name} 1234 \"!ARGS:name\"`")));
            }
        };
        let update =
            TargetUpdate { which: which(name, which_text)?, targets: targets::parse(variables)? };
        self.exceptions.target_updates.push((place.clone(), update));
        Ok(())
    }

    fn action_update(
        &mut self,
        name: &str,
        words: &[&str],
        place: &Place,
    ) -> Result<(), Vec<Problem>> {
        self.exception_fits(name).map_err(one)?;
        let [which_text, list] = words else {
            return Err(one(Problem::new(name, "wants an id and actions")
                .hint(format!("write `{name} 1234 \"deny,status:403\"`"))));
        };
        let which = which(name, which_text).map_err(one)?;
        let actions = actions::parse(list)?;
        let fixed = actions
            .iter()
            .find(|action| matches!(action, Action::Id(_) | Action::Phase(_) | Action::Chain));
        if let Some(fixed) = fixed {
            return Err(one(Problem::new(fixed.name(), "cannot be changed by an update")
                .hint("remove the rule and write your own")));
        }
        self.exceptions.action_updates.push((place.clone(), ActionUpdate { which, actions }));
        Ok(())
    }
}

/// Which rules an exception is for: `…ById`, `…ByTag` or `…ByMsg`.
fn which(name: &str, written: &str) -> Result<Which, Problem> {
    let written = crate::parse::unquoted(written);
    if written.is_empty() {
        return Err(Problem::new(name, "names no rule").hint(format!("write `{name} …`")));
    }
    let lower = name.to_ascii_lowercase();
    if lower.ends_with("byid") {
        // `1234:1` is the first link after the starter.
        let (ids, link) = match written.split_once(':') {
            Some((ids, link)) => (ids, crate::parse::number(name, link)?),
            None => (written, 0),
        };
        return Ok(Which::Ids(controls::id_ranges(name, ids)?, link));
    }
    let text = Text::parse(written, Escapes::Remove).unwrap_or_else(|_| Text::plain(written));
    Ok(if lower.ends_with("bytag") { Which::Tag(text) } else { Which::Message(text) })
}

pub(super) fn phase_of(actions: &[Action]) -> Option<Phase> {
    actions.iter().rev().find_map(|action| match action {
        Action::Phase(phase) => Some(*phase),
        _ => None,
    })
}

pub(super) fn single<'w>(name: &str, words: &[&'w str]) -> Result<&'w str, Problem> {
    match words {
        [word] => Ok(word),
        [] => Err(Problem::new(name, "has no value").hint(format!("write `{name} \"…\"`"))),
        [_, more, ..] => Err(Problem::new(name, format!("`{more}` is one word too many"))
            .hint("put the value between `\"`")),
    }
}

fn one(problem: Problem) -> Vec<Problem> {
    vec![problem]
}
