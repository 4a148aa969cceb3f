//! The record of what a profile has spent, under a lock of its own, and the second guard within each process.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::auth::brake::spending::{Budget, Spending};
use crate::blocking;
use crate::clock::SharedClock;
use crate::limits::{
    SIGN_IN_BUDGET, TAB_BUDGET, TAB_WINDOW, TOKEN_REQUEST_BUDGET, TOKEN_REQUEST_LONG_BUDGET, TOKEN_REQUEST_LONG_WINDOW,
    TOKEN_REQUEST_WINDOW,
};
use crate::pacing::RateWindow;
use crate::problem::{Problem, ProblemId};
use crate::store::{Note, ProcessLock, StateDir};

/// The name of the record's note.
const BRAKE_NOTE: &str = "brake.json";
/// How long to wait for the record's lock, which each process holds for one small file.
const BRAKE_LOCK_WAIT: Duration = Duration::from_secs(5);

const TABS: [Budget; 1] = [Budget { most: TAB_BUDGET, within: TAB_WINDOW }];
const TOKEN_REQUESTS: [Budget; 2] = [
    Budget { most: TOKEN_REQUEST_BUDGET, within: TOKEN_REQUEST_WINDOW },
    Budget { most: TOKEN_REQUEST_LONG_BUDGET, within: TOKEN_REQUEST_LONG_WINDOW },
];

/// What one profile may spend, for every process of it.
#[derive(Debug)]
pub struct Brake {
    files: StateDir,
    clock: SharedClock,
    /// Whether this process runs the `login` that a person has typed.
    is_person_s: AtomicBool,
    own: Mutex<Own>,
}

/// The second guard, by a clock that nobody sets and without a file.
#[derive(Debug)]
struct Own {
    tabs: RateWindow,
    /// The sign-ins that were started, whether or not they came to open a tab.
    sign_ins: RateWindow,
    token_requests: RateWindow,
    /// How often a person had lifted the brake when this process last looked.
    lifted: Option<u64>,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            tabs: RateWindow::new(TAB_BUDGET, TAB_WINDOW),
            sign_ins: RateWindow::new(SIGN_IN_BUDGET, TAB_WINDOW),
            token_requests: RateWindow::new(TOKEN_REQUEST_BUDGET, TOKEN_REQUEST_WINDOW),
            lifted: None,
        }
    }
}

/// The record, without anything secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    tabs: Spending,
    token_requests: Spending,
    /// How often a person has lifted the brake.
    #[serde(default)]
    lifted: u64,
}

/// Permission to open one tab. Nothing opens without one.
#[derive(Debug)]
pub struct TabAdmission(());

/// What a profile has spent, for `status` and `doctor`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spent {
    /// The tabs.
    pub tabs: Vec<Counted>,
    /// When a tab may open again, in seconds since 1970; `None` when one may now.
    pub tabs_shut_until: Option<u64>,
    /// The token requests, in each of their windows.
    pub token_requests: Vec<Counted>,
    /// When a token may be requested again, in seconds since 1970; `None` when one may now.
    pub token_requests_shut_until: Option<u64>,
}

/// How much of a budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// How many events.
    pub count: usize,
    /// How many there may be.
    pub most: usize,
    /// In which time.
    pub within: Duration,
}

impl Brake {
    /// The brake of the profile with these files; reads nothing yet.
    pub fn new(files: StateDir, clock: SharedClock) -> Self {
        Self { files, clock, is_person_s: AtomicBool::new(false), own: Mutex::default() }
    }

    /// The files of the record. They are not removed with the others of the profile while anything in them counts.
    pub(crate) fn record_files(&self) -> [PathBuf; 2] {
        [self.files.note(BRAKE_NOTE).path().to_owned(), self.files.brake_lock()]
    }

    /// From now on, this process is the `login` that a person has typed: the brake neither holds it back nor counts it.
    pub(crate) fn person_signs_in(&self) {
        self.is_person_s.store(true, Ordering::Relaxed);
    }

    /// Permission to open one tab, which counts.
    ///
    /// # Errors
    /// `TooManyTabs` when the budget is spent, or the record cannot be kept: a person still has the link.
    pub(crate) async fn admit_tab(&self) -> Result<TabAdmission, Problem> {
        if self.is_person_s.load(Ordering::Relaxed) {
            return Ok(TabAdmission(()));
        }
        let now = self.now();
        let admitted = self.change(move |record| record.tabs.admit(now, &TABS)).await;
        match admitted {
            Ok((record, Ok(()))) => {
                self.notice(&record);
                admit(&mut self.own().tabs).map_err(|left| too_many_tabs(now, now + left))?;
                Ok(TabAdmission(()))
            }
            Ok((record, Err(until))) => {
                self.notice(&record);
                Err(too_many_tabs(now, until))
            }
            Err(problem) => Err(Problem::new(ProblemId::TooManyTabs).because(problem)),
        }
    }

    /// Counts a sign-in that this process starts. Each is a process of its own, which counts the tab if it comes to open one;
    /// most of those that end before are over in a moment, so that nothing else bounds how many there are.
    ///
    /// # Errors
    /// `TooManySignIns` when there have been too many.
    pub(crate) fn admit_sign_in(&self) -> Result<(), Problem> {
        let now = self.now();
        let admitted = admit(&mut self.own().sign_ins);
        admitted.map_err(|left| {
            let detail = format!("{SIGN_IN_BUDGET} have started within {} minutes", TAB_WINDOW.as_secs() / 60);
            shut(ProblemId::TooManySignIns, now, now + left).with("detail", detail)
        })
    }

    /// Why no tab opens now; `None` when one may.
    pub(crate) async fn tabs_shut(&self) -> Option<Problem> {
        let now = self.now();
        match self.look().await {
            Ok(record) => match record.tabs.shut_until(now, &TABS) {
                Some(until) => Some(too_many_tabs(now, until)),
                None => {
                    let left = millis(self.own().tabs.room_in(Instant::now()));
                    (left > 0).then(|| too_many_tabs(now, now + left))
                }
            },
            Err(problem) => Some(Problem::new(ProblemId::TooManyTabs).because(problem)),
        }
    }

    /// Counts a request to the token endpoint.
    ///
    /// # Errors
    /// `TooManyTokenRequests` when a budget is spent. Without a record that can be kept, this process has a budget of its
    /// own: a full disk must not end a sign-in.
    pub(crate) async fn admit_token_request(&self) -> Result<(), Problem> {
        if self.is_person_s.load(Ordering::Relaxed) {
            return Ok(());
        }
        let now = self.now();
        match self.change(move |record| record.token_requests.admit(now, &TOKEN_REQUESTS)).await {
            Ok((record, admitted)) => {
                self.notice(&record);
                admitted.map_err(|until| too_many_token_requests(now, until))?;
            }
            Err(problem) => tracing::debug!(%problem, "token requests are counted within this process alone"),
        }
        admit(&mut self.own().token_requests).map_err(|left| too_many_token_requests(now, now + left))
    }

    /// Counts the exchange of an authorization code, which nothing holds back: a person has just consented, and the budget of
    /// tabs bounds how often.
    pub(crate) async fn count_code_exchange(&self) {
        if self.is_person_s.load(Ordering::Relaxed) {
            return;
        }
        let now = self.now();
        match self.change(move |record| record.token_requests.count_in(now)).await {
            Ok((record, ())) => self.notice(&record),
            Err(problem) => tracing::debug!(%problem, "the exchange of the code is counted within this process alone"),
        }
        self.own().token_requests.admit(Instant::now());
    }

    /// Clears what was spent: a person has signed in at a terminal.
    pub(crate) async fn lift(&self) {
        let lifted = self.change(|record| {
            *record = Record { lifted: record.lifted.wrapping_add(1), ..Record::default() };
        });
        match lifted.await {
            Ok((record, ())) => self.notice(&record),
            Err(problem) => tracing::warn!(%problem, "the count of tabs and token requests could not be cleared"),
        }
    }

    /// What is spent now.
    ///
    /// # Errors
    /// When the record cannot be kept.
    pub(crate) async fn spent(&self) -> Result<Spent, Problem> {
        let (now, record) = (self.now(), self.look().await?);
        let counted = |spending: &Spending, budgets: &[Budget]| {
            let each = |budget: &Budget| Counted {
                count: spending.count(now, *budget),
                most: budget.most,
                within: budget.within,
            };
            budgets.iter().map(each).collect()
        };
        let seconds = |until: u64| until.div_ceil(1_000);
        Ok(Spent {
            tabs: counted(&record.tabs, &TABS),
            tabs_shut_until: record.tabs.shut_until(now, &TABS).map(seconds),
            token_requests: counted(&record.token_requests, &TOKEN_REQUESTS),
            token_requests_shut_until: record.token_requests.shut_until(now, &TOKEN_REQUESTS).map(seconds),
        })
    }

    /// Why something is held back now, if it is: the tabs first.
    pub(crate) async fn why_shut(&self) -> Option<Problem> {
        let now = self.now();
        let record = self.look().await.ok()?;
        let tabs = record.tabs.shut_until(now, &TABS).map(|until| too_many_tabs(now, until));
        tabs.or_else(|| {
            let until = record.token_requests.shut_until(now, &TOKEN_REQUESTS);
            until.map(|until| too_many_token_requests(now, until))
        })
    }

    /// The record as it counts now. It is written only when time alone would not put it right.
    async fn look(&self) -> Result<Record, Problem> {
        let (note, now) = (self.files.note(BRAKE_NOTE), self.now());
        let (mut record, is_right) = blocking::run(move || Record::read(&note, now)).await;
        if is_right {
            record.settle(now);
        } else {
            (record, ()) = self.change(|_| ()).await?;
        }
        self.notice(&record);
        Ok(record)
    }

    /// Changes the record under its lock, and writes it.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Record) -> T + Send + 'static,
    ) -> Result<(Record, T), Problem> {
        let (note, now) = (self.files.note(BRAKE_NOTE), self.now());
        let lock = self.files.brake_lock();
        let lock = ProcessLock::acquire(&lock, "counting tabs and token requests", BRAKE_LOCK_WAIT).await?;
        let work = move || {
            let _lock = lock;
            let (mut record, is_right) = Record::read(&note, now);
            let before = record.clone();
            record.settle(now);
            let value = change(&mut record);
            if !is_right || record != before {
                note.write(&record)?;
            }
            Ok((record, value))
        };
        blocking::run(work).await
    }

    /// Clears the second guard when a person has lifted the brake since.
    fn notice(&self, record: &Record) {
        let mut own = self.own();
        if own.lifted.replace(record.lifted).is_some_and(|before| before < record.lifted) {
            *own = Own { lifted: Some(record.lifted), ..Own::default() };
        }
    }

    fn now(&self) -> u64 {
        let since = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        millis(since)
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    /// Whether nothing counts any more.
    pub fn is_nothing(&self) -> bool {
        self.tabs.iter().chain(&self.token_requests).all(|counted| counted.count == 0)
    }
}

impl Record {
    /// The record, and whether time alone puts it right: it is neither damaged nor ahead of the clock. One that cannot be
    /// read counts as spent just now.
    fn read(note: &Note, now: u64) -> (Self, bool) {
        match note.try_read::<Self>() {
            Ok(record) => {
                let record = record.unwrap_or_default();
                let is_right = !record.tabs.is_ahead(now) && !record.token_requests.is_ahead(now);
                (record, is_right)
            }
            Err(problem) => {
                tracing::warn!(%problem, "the count of tabs and token requests is damaged and begins anew, spent");
                let (tabs, token_requests) = (Spending::full(now, &TABS), Spending::full(now, &TOKEN_REQUESTS));
                (Self { tabs, token_requests, lifted: 0 }, false)
            }
        }
    }

    fn settle(&mut self, now: u64) {
        self.tabs.settle(now, &TABS);
        self.token_requests.settle(now, &TOKEN_REQUESTS);
    }
}

/// Counts an event of this process now.
///
/// # Errors
/// The time until there is room again, in milliseconds.
fn admit(window: &mut RateWindow) -> Result<(), u64> {
    let now = Instant::now();
    if window.admit(now) { Ok(()) } else { Err(millis(window.room_in(now))) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// "No tab opens": what was spent, and until when. Times are in milliseconds since 1970.
fn too_many_tabs(now: u64, until: u64) -> Problem {
    let detail = format!("{TAB_BUDGET} have opened within {} minutes", TAB_WINDOW.as_secs() / 60);
    shut(ProblemId::TooManyTabs, now, until).with("detail", detail)
}

fn too_many_token_requests(now: u64, until: u64) -> Problem {
    let (minute, minutes) = (TOKEN_REQUEST_WINDOW.as_secs(), TOKEN_REQUEST_LONG_WINDOW.as_secs() / 60);
    let detail = format!(
        "at most {TOKEN_REQUEST_BUDGET} are sent within {minute} seconds, and {TOKEN_REQUEST_LONG_BUDGET} within {minutes} \
         minutes"
    );
    shut(ProblemId::TooManyTokenRequests, now, until).with("detail", detail)
}

fn shut(id: ProblemId, now: u64, until: u64) -> Problem {
    let left = until.saturating_sub(now).div_ceil(1_000);
    Problem::new(id).with("until", time_of_day(until.div_ceil(1_000))).with("seconds", left)
}

/// The time of day of so many seconds since 1970, such as `08:49:37 UTC`.
pub fn time_of_day(unix_seconds: u64) -> String {
    let second = unix_seconds % 86_400;
    format!("{:02}:{:02}:{:02} UTC", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests;
