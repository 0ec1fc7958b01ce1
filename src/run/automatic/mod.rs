//! Automatic analysis: what arrives is looked at by the configuration's rules, and what a rule and its model take becomes a run.
//!
//! Two ways lead here. The source's events come at once, and may be lost; the [`replay`] of its log of changes comes `lag` later and is
//! not. Both end in [`Watcher::evaluate`], and a run's key keeps them from making two runs of one input.

pub mod replay;
pub mod rule;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::audit::{Action, AuditEvent};
use super::fault;
use super::select::Selection;
use super::service::{self, RunService, SubmitError, Submitted};
use super::{Origin, RunRequest, Timestamp};
use crate::model::ModelRegistry;
use crate::source::{Catalogue, InstanceHeader, InstanceSource, Level, Resource, SourceError};
use replay::{Later, Replay};
pub use rule::{QuietHours, Rule, Trigger};

/// The position in the log of changes, in the store of runs.
const CURSOR: &str = "changes";
/// An instance that is stored again and again (a sender that repeats) is looked at once.
const DEBOUNCE: Duration = Duration::from_secs(2);
/// How often the log of changes is read on.
const TICK: Duration = Duration::from_secs(5);
/// A resource that cannot be read for so long is left out.
const GIVE_UP: Duration = Duration::from_secs(60);
/// Events that wait for their evaluation; what is beyond, the replay finds.
const MAX_WAITING: usize = 10_000;

/// What the watcher works with.
pub struct Ports {
    pub source: Arc<dyn InstanceSource + Send>,
    pub catalogue: Arc<dyn Catalogue>,
}

/// The configuration of automatic analysis.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub rules: Vec<Rule>,
    /// Every model that is ready and no demo, on stable studies.
    pub automatic: bool,
    /// Seconds without a new instance after which Orthanc calls a resource stable.
    pub stable_age: Duration,
}

impl Settings {
    /// False: nothing is analysed by itself, and there is nothing to watch.
    pub fn watches(&self) -> bool {
        self.automatic || self.rules.iter().any(|r| r.enable)
    }

    /// The rules as written, and those that `Ai.Automatic` stands for.
    pub fn rules(&self, models: &ModelRegistry) -> Vec<Rule> {
        let of_model = |name: String| Rule {
            name: format!("Automatic: {name}"),
            model: name,
            trigger: Trigger::StableStudy,
            conditions: Vec::new(),
            remote_aet: Vec::new(),
            min_instances: 0,
            priority: 0,
            quiet_hours: None,
            enable: true,
        };
        let automatic =
            models.list().into_iter().filter(|m| self.automatic && m.can_run() && !m.demo).map(|m| of_model(m.name));
        self.rules.iter().cloned().chain(automatic).collect()
    }

    fn triggers(&self) -> Vec<Trigger> {
        let enabled = self.rules.iter().filter(|r| r.enable).map(|r| r.trigger);
        enabled.chain(self.automatic.then_some(Trigger::StableStudy)).collect()
    }
}

/// What a rule says of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub rule: String,
    pub model: String,
    pub trigger: Trigger,
    /// How many instances one run would take, or why there is none.
    pub outcome: Result<usize, String>,
}

/// What each rule would do with a resource, in words: for the administrator who wonders.
pub fn explain(
    models: &ModelRegistry,
    settings: &Settings,
    headers: &[InstanceHeader],
    remote_aet: Option<&str>,
) -> Vec<Verdict> {
    let verdict = |rule: Rule| {
        let outcome = judge(models, &rule, headers, remote_aet).map(|selection| selection.inputs.len());
        Verdict { rule: rule.name, model: rule.model, trigger: rule.trigger, outcome }
    };
    settings.rules(models).into_iter().map(verdict).collect()
}

/// What one run would take of a resource by the rule, and then by its model's own.
///
/// # Errors
/// Why there is none, in words.
fn judge(
    models: &ModelRegistry,
    rule: &Rule,
    headers: &[InstanceHeader],
    remote_aet: Option<&str>,
) -> Result<Selection, String> {
    let candidates = rule.candidates(headers, remote_aet)?;
    service::select(models, &rule.model, &candidates, &[]).map_err(|e| e.to_string())
}

/// Who sent the resource, where a rule wants to know.
///
/// # Errors
/// [`SourceError`]
pub fn sender<'r>(
    rules: impl IntoIterator<Item = &'r Rule>,
    catalogue: &dyn Catalogue,
    resource: &Resource,
) -> Result<Option<String>, SourceError> {
    let wanted = rules.into_iter().any(|r| !r.remote_aet.is_empty());
    if wanted { catalogue.remote_aet(resource) } else { Ok(None) }
}

/// The watcher's thread, and the events' way to it.
pub struct Automatic {
    pub settings: Settings,
    /// Those of the rules: of other events the watcher is not told.
    triggers: Vec<Trigger>,
    events: Mutex<Option<Sender<(Resource, Trigger)>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    stopping: Arc<AtomicBool>,
}

impl Automatic {
    pub fn new(settings: Settings) -> Self {
        let triggers = settings.triggers();
        Self { settings, triggers, events: Mutex::default(), thread: Mutex::default(), stopping: Arc::default() }
    }

    /// Starts to watch, where there is a rule.
    ///
    /// # Errors
    /// The thread cannot start.
    pub fn begin(&self, service: Arc<RunService>, ports: Ports) -> std::io::Result<()> {
        if !self.settings.watches() {
            return Ok(());
        }
        let (sender, events) = channel();
        let watcher = Watcher {
            service,
            ports,
            settings: self.settings.clone(),
            triggers: self.triggers.clone(),
            waiting: VecDeque::new(),
            recent: HashMap::new(),
            unreadable: RefCell::default(),
            stopping: self.stopping.clone(),
        };
        let thread =
            std::thread::Builder::new().name("orthanc-ai-watch".into()).spawn(move || watcher.watch(&events))?;
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Tells the watcher of an event. Returns at once: this is called by a thread that all plugins share.
    pub fn event(&self, resource: Resource, trigger: Trigger) {
        if !self.triggers.contains(&trigger) {
            return;
        }
        if let Some(events) = &*self.events.lock().unwrap_or_else(PoisonError::into_inner) {
            // The watcher has ended: the replay of the next life finds what this event was for.
            let _ended = events.send((resource, trigger));
        }
    }

    /// Ends the watcher between two evaluations and waits for it.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|t| t.join().is_err()) {
            log::error!("the watcher ended in a panic");
        }
    }
}

struct Watcher {
    service: Arc<RunService>,
    ports: Ports,
    settings: Settings,
    triggers: Vec<Trigger>,
    /// In the order of their events.
    waiting: VecDeque<(Resource, Trigger)>,
    /// Instances that were looked at, and when.
    recent: HashMap<Resource, Instant>,
    /// Resources that could not be read, and since when.
    unreadable: RefCell<HashMap<Resource, Instant>>,
    stopping: Arc<AtomicBool>,
}

impl Watcher {
    fn stops(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn watch(mut self, events: &Receiver<(Resource, Trigger)>) {
        while !self.service.models_are_loaded() {
            if self.stops() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let mut replay = None;
        let mut next_tick = Instant::now();
        // A trouble is told once, not at each turn.
        let mut trouble: Option<String> = None;
        loop {
            match events.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
                Ok(event) => self.take(event, events),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let mut outcome = self.evaluate_waiting(&mut replay);
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TICK.min(self.lag());
                outcome = outcome.and(self.replay(&mut replay));
                self.recent.retain(|_, at| at.elapsed() < DEBOUNCE);
            }
            let now = outcome.err().map(|Later(reason)| reason);
            if let Some(reason) = now.as_ref().filter(|reason| Some(*reason) != trouble.as_ref()) {
                log::warn!("automatic analysis waits: {reason}");
            }
            trouble = now;
            if self.stops() {
                return;
            }
        }
    }

    /// An event and all that came with it.
    fn take(&mut self, first: (Resource, Trigger), events: &Receiver<(Resource, Trigger)>) {
        for event in std::iter::once(first).chain(events.try_iter()) {
            if self.waiting.len() < MAX_WAITING && !self.waiting.contains(&event) {
                self.waiting.push_back(event);
            }
        }
    }

    /// What is read of the log of changes is old enough that its resources could have become stable.
    fn lag(&self) -> Duration {
        self.settings.stable_age * 2 + Duration::from_secs(1)
    }

    /// One that cannot be looked at now goes to the end: it keeps nobody else from being looked at.
    fn evaluate_waiting(&mut self, replay: &mut Option<Replay>) -> Result<(), Later> {
        let mut outcome = Ok(());
        for _ in 0..self.waiting.len() {
            let Some((resource, trigger)) = self.waiting.pop_front() else { break };
            if self.stops() {
                break;
            }
            let debounced = trigger == Trigger::NewInstance
                && self.recent.insert(resource.clone(), Instant::now()).is_some_and(|at| at.elapsed() < DEBOUNCE);
            if debounced {
                continue;
            }
            let at = OffsetDateTime::now_utc();
            match self.evaluate(&resource, trigger) {
                Ok(()) | Err(Failure::Gone) => {
                    if let Some(replay) = replay {
                        replay.evaluated(resource, at);
                    }
                }
                Err(Failure::Later(reason)) => {
                    self.recent.remove(&resource);
                    self.waiting.push_front((resource, trigger));
                    return Err(Later(reason));
                }
                Err(Failure::Unreadable(reason)) => {
                    self.recent.remove(&resource);
                    if !self.gives_up(&resource, &reason) {
                        self.waiting.push_back((resource, trigger));
                        outcome = Err(Later(reason));
                    }
                }
            }
        }
        outcome
    }

    /// Whether a resource has been unreadable for so long, in a server that answers otherwise, that others shall not wait for it.
    fn gives_up(&self, resource: &Resource, reason: &str) -> bool {
        let mut unreadable = self.unreadable.borrow_mut();
        let since = *unreadable.entry(resource.clone()).or_insert_with(Instant::now);
        if since.elapsed() < GIVE_UP || self.ports.catalogue.last_change().is_err() {
            return false;
        }
        unreadable.remove(resource);
        log::error!("{resource} cannot be looked at and is left out: {reason}");
        true
    }

    /// Reads the log of changes on. The first time ever it begins at its end: an archive of years is not analysed because a plugin was
    /// installed.
    fn replay(&mut self, replay: &mut Option<Replay>) -> Result<(), Later> {
        let store = self.service.store.clone();
        let later = |e: &dyn std::fmt::Display| Later(e.to_string());
        if replay.is_none() {
            let end = self.ports.catalogue.last_change().map_err(|e| later(&e))?;
            let cursor = match store.cursor(CURSOR).map_err(|e| later(&e))? {
                Some(cursor) if cursor <= end => cursor,
                known => {
                    if known.is_some() {
                        log::warn!(
                            "Orthanc's log of changes ends before the place that was read last: another index? It is read from its end on"
                        );
                    }
                    store.set_cursor(CURSOR, end).map_err(|e| later(&e))?;
                    end
                }
            };
            *replay = Some(Replay::new(cursor, self.lag()));
        }
        let Some(position) = replay.as_mut() else { return Ok(()) };
        loop {
            let before = position.cursor();
            let mut look = |resource: &Resource, trigger: Trigger| {
                if self.stops() {
                    return Err(Later("the server stops".into()));
                }
                match self.evaluate(resource, trigger) {
                    Err(Failure::Unreadable(reason)) if !self.gives_up(resource, &reason) => Err(Later(reason)),
                    Err(Failure::Later(reason)) => Err(Later(reason)),
                    Ok(()) | Err(Failure::Gone | Failure::Unreadable(_)) => Ok(()),
                }
            };
            let more = position.step(&*self.ports.catalogue, OffsetDateTime::now_utc(), &self.triggers, &mut look);
            if position.cursor() != before {
                fault::point(|| "replayed".into());
                store.set_cursor(CURSOR, position.cursor()).map_err(|e| later(&e))?;
            }
            if !more? || self.stops() {
                return Ok(());
            }
        }
    }

    /// Looks at a resource by every rule with the trigger; what a rule and its model take is submitted.
    fn evaluate(&self, resource: &Resource, trigger: Trigger) -> Result<(), Failure> {
        let rules: Vec<Rule> = self.settings.rules(&self.service.models);
        let rules: Vec<Rule> = rules.into_iter().filter(|r| r.enable && r.trigger == trigger).collect();
        if rules.is_empty() {
            return Ok(());
        }
        let outcome = self.submit_all(resource, &rules);
        if !matches!(outcome, Err(Failure::Unreadable(_))) {
            self.unreadable.borrow_mut().remove(resource);
        }
        outcome
    }

    fn submit_all(&self, resource: &Resource, rules: &[Rule]) -> Result<(), Failure> {
        let modalities = self.ports.catalogue.modalities(resource)?;
        let rules: Vec<&Rule> = rules.iter().filter(|r| self.may_apply(r, modalities.as_deref())).collect();
        if rules.is_empty() {
            return Ok(());
        }
        fault::point(|| "event".into());
        let headers = self.ports.source.headers(resource)?;
        let remote_aet = sender(rules.iter().copied(), &*self.ports.catalogue, resource)?;
        let study = self.study_of(resource)?;
        for rule in &rules {
            let selection = match judge(&self.service.models, rule, &headers, remote_aet.as_deref()) {
                Ok(selection) => selection,
                Err(reason) => {
                    log::debug!("rule {}: not {resource}: {reason}", rule.name);
                    continue;
                }
            };
            let request = RunRequest {
                model: rule.model.clone(),
                resource: resource.clone(),
                study: study.clone(),
                inputs: selection.inputs,
                warnings: selection.warnings,
                origin: Origin::Rule(rule.name.clone()),
                priority: rule.priority,
                force: false,
                not_before: rule.quiet_hours.and_then(|hours| hours.until(Timestamp::now())),
            };
            match self.service.submit(request) {
                Ok(Submitted { run, is_new: true }) => {
                    log::info!("run {}: rule {} has {} look at {resource}", run.id, rule.name, rule.model);
                    fault::point(|| "submitted".into());
                    (self.service.audit)(&AuditEvent::own(Action::AnalysisRequested, &run));
                }
                Ok(_) => {}
                Err(e @ (SubmitError::QueueFull { .. } | SubmitError::Store(_))) => {
                    return Err(Failure::Later(e.to_string()));
                }
                Err(e) => log::warn!("rule {}: {resource}: {e}", rule.name),
            }
        }
        Ok(())
    }

    /// False where no series has a modality that rule and model want: most studies need no look at their hundreds of instances.
    fn may_apply(&self, rule: &Rule, modalities: Option<&[String]>) -> bool {
        let Some(modalities) = modalities else { return true };
        let manifest = self.service.models.manifest(&rule.model);
        let of_model = manifest.iter().flat_map(|m| &m.input.conditions);
        let mut on_modality = rule.conditions.iter().chain(of_model).filter(|c| c.keyword == "Modality");
        on_modality.all(|c| modalities.iter().any(|m| c.holds(&|_| Some(m.as_str()))))
    }

    fn study_of(&self, resource: &Resource) -> Result<String, Failure> {
        let mut at = resource.clone();
        while at.level != Level::Study {
            at = self.ports.catalogue.parent(&at)?.ok_or(Failure::Gone)?;
        }
        Ok(at.id)
    }
}

/// Why nothing could be submitted for a resource.
enum Failure {
    /// It was deleted meanwhile.
    Gone,
    /// Nothing can be submitted: the queue is full, the store of runs is away.
    Later(String),
    /// This one cannot be read.
    Unreadable(String),
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::UnknownResource(_) => Self::Gone,
            e => Self::Unreadable(e.to_string()),
        }
    }
}
