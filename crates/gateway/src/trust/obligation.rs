//! What a decision may ask of an enforcement point.

use crate::config::SiteConfig;

/// One obligation the gateway knows how to perform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obligation {
    StepUpMfa,
    ReadOnly,
    DownloadBlock,
    BlockLargeTransfer,
    Throttle,
    Watermark,
    SessionTtlShort,
    SessionTerminate,
    SessionIsolate,
}

impl Obligation {
    pub const ALL: [Obligation; 9] = [
        Obligation::StepUpMfa,
        Obligation::ReadOnly,
        Obligation::DownloadBlock,
        Obligation::BlockLargeTransfer,
        Obligation::Throttle,
        Obligation::Watermark,
        Obligation::SessionTtlShort,
        Obligation::SessionTerminate,
        Obligation::SessionIsolate,
    ];

    /// The permanent code: on the wire and in events.
    pub fn id(self) -> &'static str {
        match self {
            Obligation::StepUpMfa => "step_up_mfa",
            Obligation::ReadOnly => "read_only",
            Obligation::DownloadBlock => "download_block",
            Obligation::BlockLargeTransfer => "block_large_transfer",
            Obligation::Throttle => "throttle",
            Obligation::Watermark => "watermark",
            Obligation::SessionTtlShort => "session_ttl_short",
            Obligation::SessionTerminate => "session_terminate",
            Obligation::SessionIsolate => "session_isolate",
        }
    }

    pub fn of_id(id: &str) -> Option<Obligation> {
        Obligation::ALL.into_iter().find(|obligation| obligation.id() == id)
    }
}

/// A set of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Obligations(u16);

impl Obligations {
    /// What this gateway can perform on a site: without `step_up` there is no way to prove anything.
    pub fn supported(site: &SiteConfig, watermark: bool) -> Obligations {
        Obligation::ALL
            .into_iter()
            .filter(|obligation| match obligation {
                Obligation::StepUpMfa => site.step_up.is_some(),
                Obligation::Watermark => watermark,
                _ => true,
            })
            .collect()
    }

    pub fn insert(&mut self, obligation: Obligation) {
        self.0 |= 1 << obligation as u16;
    }

    pub fn contains(self, obligation: Obligation) -> bool {
        self.0 & (1 << obligation as u16) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Obligation> {
        Obligation::ALL.into_iter().filter(move |obligation| self.contains(*obligation))
    }
}

impl FromIterator<Obligation> for Obligations {
    fn from_iter<I: IntoIterator<Item = Obligation>>(obligations: I) -> Self {
        let mut set = Obligations::default();
        obligations.into_iter().for_each(|obligation| set.insert(obligation));
        set
    }
}
