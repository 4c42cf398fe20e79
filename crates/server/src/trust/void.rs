//! Decisions that are void: what gateways have to ask again about.

use schema::{Entity, Reconsider, Timestamp};
use trust::TTL_SECS_MAX;

/// Entities named at once; beyond it everybody is asked about again, which is safe and no more work.
const NAMED_MAX: usize = 1_000;

/// What was made void lately, oldest first.
#[derive(Debug, Default)]
pub struct Voids(Vec<Reconsider>);

impl Voids {
    /// After a start: what was decided before it may rest on what changed meanwhile.
    pub fn since_start(now: Timestamp) -> Voids {
        Voids(vec![Reconsider { entity: None, since: now }])
    }

    /// Decisions about these entities, or everybody, made before `now` are void.
    pub fn add(&mut self, entities: Option<&[Entity]>, now: Timestamp) {
        self.forget(now);
        match entities {
            None => *self = Voids::since_start(now),
            Some(entities) => {
                self.0.retain(|known| {
                    known.entity.as_ref().is_none_or(|entity| !entities.contains(entity))
                });
                let entries = entities.iter().cloned();
                self.0.extend(entries.map(|e| Reconsider { entity: Some(e), since: now }));
                if self.0.len() > NAMED_MAX {
                    *self = Voids::since_start(now);
                }
            }
        }
    }

    /// What still matters: no decision lives longer than the longest time a policy may give one.
    pub fn current(&mut self, now: Timestamp) -> Vec<Reconsider> {
        self.forget(now);
        self.0.clone()
    }

    fn forget(&mut self, now: Timestamp) {
        let oldest = now - i64::from(TTL_SECS_MAX) * 1000;
        self.0.retain(|known| known.since >= oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::EntityKind;

    #[test]
    fn the_newest_word_about_an_entity_stands_until_no_decision_can_be_that_old() {
        let kim = Entity::new(EntityKind::Account, "kim");
        let mut voids = Voids::default();
        voids.add(Some(std::slice::from_ref(&kim)), 1_000);
        voids.add(Some(std::slice::from_ref(&kim)), 2_000);
        assert_eq!(voids.current(3_000), [Reconsider { entity: Some(kim), since: 2_000 }]);
        let longest = i64::from(TTL_SECS_MAX) * 1000;
        assert_eq!(voids.current(2_000 + longest).len(), 1);
        assert!(voids.current(2_001 + longest).is_empty());
        let many: Vec<Entity> =
            (0..=NAMED_MAX).map(|n| Entity::new(EntityKind::Session, n.to_string())).collect();
        voids.add(Some(&many), 5_000_000);
        assert_eq!(voids.current(5_000_000), [Reconsider { entity: None, since: 5_000_000 }]);
    }
}
