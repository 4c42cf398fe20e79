use schema::Timestamp;

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 1_440;

/// A moment on somebody's wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Local {
    /// Days since 1970-01-01, there.
    pub(crate) day: i64,
    /// Minutes since midnight, 0 to 1439.
    pub(crate) minute: i64,
}

impl Local {
    pub(crate) fn of(time: Timestamp, offset_minutes: i32) -> Self {
        let minutes = time.div_euclid(MINUTE_MS) + i64::from(offset_minutes);
        Local { day: minutes.div_euclid(DAY_MINUTES), minute: minutes.rem_euclid(DAY_MINUTES) }
    }

    /// 0 is Monday; 1970-01-01 was a Thursday.
    pub(crate) fn weekday(self) -> u8 {
        (self.day + 3).rem_euclid(7) as u8
    }

    pub(crate) fn hour(self) -> u8 {
        (self.minute / 60) as u8
    }
}

/// When work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hours {
    pub(crate) offset_minutes: i32,
    /// Minutes since midnight; `to` is not part of it, and may lie on the next day.
    pub(super) from: i64,
    pub(super) to: i64,
    /// Monday first.
    pub(super) days: [bool; 7],
}

impl Hours {
    /// Whether a moment lies in the hours widened by `slack_minutes` on both sides.
    pub(crate) fn contains(&self, local: Local, slack_minutes: i64) -> bool {
        let length = match self.to - self.from {
            length if length > 0 => length,
            // Over midnight.
            length => length + DAY_MINUTES,
        };
        // The shift that began today, yesterday or, with slack, begins tomorrow.
        (-1..=1).any(|shift: i64| {
            let since = local.minute - shift * DAY_MINUTES - self.from;
            let began = Local { day: local.day + shift, minute: 0 };
            let works = self.days.get(usize::from(began.weekday())).copied().unwrap_or(false);
            works && since >= -slack_minutes && since < length + slack_minutes
        })
    }
}

/// Zones that have kept one offset for decades, by their IANA name. One with summer time has no offset of its
/// own, and no table of rules lives in a pure engine.
const FIXED_ZONES: &[(&str, i32)] = &[
    ("UTC", 0),
    ("Etc/UTC", 0),
    ("Asia/Seoul", 540),
    ("Asia/Tokyo", 540),
    ("Asia/Shanghai", 480),
    ("Asia/Taipei", 480),
    ("Asia/Hong_Kong", 480),
    ("Asia/Singapore", 480),
    ("Asia/Manila", 480),
    ("Asia/Jakarta", 420),
    ("Asia/Bangkok", 420),
    ("Asia/Ho_Chi_Minh", 420),
    ("Asia/Kolkata", 330),
    ("Asia/Dubai", 240),
    ("Africa/Nairobi", 180),
    ("Africa/Johannesburg", 120),
    ("Africa/Lagos", 60),
];

/// `+09:00`, `Z`, or a zone without summer time.
pub(super) fn parse_offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    if let Some((_, minutes)) = FIXED_ZONES.iter().find(|(name, _)| *name == text) {
        return Some(*minutes);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let minutes = i32::try_from(parse_clock(rest)?).ok()? * sign;
    // From Baker Island to Kiritimati.
    (-720..=840).contains(&minutes).then_some(minutes)
}

/// `09:30` as minutes since midnight; `24:00` is the end of the day.
pub(super) fn parse_clock(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<i64>().ok())
            .flatten()
    };
    let at = two(hours)? * 60 + two(minutes).filter(|minutes| *minutes < 60)?;
    (at <= DAY_MINUTES).then_some(at)
}
