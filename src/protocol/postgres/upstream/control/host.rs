//! One server's control connection: kept up, asked who it is, and told to end backends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::super::login::Account;
use super::super::settings::{Login, Upstream};
use super::super::wire::{QueryError, Row, ServerError, Wire};
use super::burial::Burial;
use super::cluster::Sight;
use super::mend::{self, Deed};
use super::orders::Order;
use super::statements::{self, BATCH_MAX};
use super::{Shared, complaint::Complaint};

/// How long it is waited before a server is connected to again, at first and at most.
pub const RECONNECT_MIN: Duration = Duration::from_millis(50);
/// See [`RECONNECT_MIN`].
pub const RECONNECT_MAX: Duration = Duration::from_secs(1);
/// How long it is waited between looks whether a backend is gone, at first and at most.
pub const LOOK_MIN: Duration = Duration::from_millis(5);
/// See [`LOOK_MIN`].
pub const LOOK_MAX: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) host: usize,
    pub(super) complaint: Complaint,
    /// What the sweep has still to end, once it has listed it, by process.
    left: Option<Vec<(u64, Order)>>,
    /// How many it has found.
    found: usize,
    /// What dead replicas have still to lose.
    pub(super) burials: Vec<Burial>,
    /// Whether the server has refused something in this round: asking again soon is no use.
    pub(super) is_refused: bool,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, host: usize) -> Self {
        let server = shared.connector.place(host);
        let complaint = Complaint::new(shared.upstream().name.clone(), server);
        Self {
            shared,
            host,
            complaint,
            left: None,
            found: 0,
            burials: Vec::new(),
            is_refused: false,
        }
    }

    /// For ever.
    pub(super) async fn keep(mut self) {
        let mut pause = RECONNECT_MIN;
        loop {
            match self.log_in().await {
                Ok(mut wire) => {
                    let since = Instant::now();
                    let why = self.serve(&mut wire).await;
                    self.complaint.say(&format!("the control connection is lost: {why}"));
                    if since.elapsed() > RECONNECT_MAX {
                        pause = RECONNECT_MIN;
                    }
                }
                Err(why) => self.complaint.say(&format!("no control connection: {why}")),
            }
            self.shared.see(self.host, Sight::Away);
            let until = Instant::now() + pause;
            while Instant::now() < until {
                self.forget_superseded();
                // Another server may be promoted meanwhile.
                sleep(LOOK_MAX.min(pause)).await;
            }
            pause = (pause * 2).min(RECONNECT_MAX);
        }
    }

    async fn log_in(&mut self) -> Result<Wire, String> {
        let upstream = self.shared.upstream().clone();
        let name = statements::control_name(&upstream.replica);
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let parameters = [
            pair("application_name", name),
            pair("client_encoding", "UTF8".to_owned()),
            // Nothing that somebody has made in the database can be called.
            pair("search_path", "pg_catalog".to_owned()),
            // Whatever the role is set to.
            pair("statement_timeout", "0".to_owned()),
        ];
        let account = Account {
            role: &upstream.control_role,
            password: &upstream.control_password,
            is_control: true,
            database: &upstream.control_database,
            parameters: &parameters,
        };
        let backend = self.shared.connector.log_in_on(self.host, account).await;
        backend.map(|backend| Wire::new(backend.stream)).map_err(|error| error.to_string())
    }

    /// Until the connection is lost; why.
    async fn serve(&mut self, wire: &mut Wire) -> String {
        let mut look = LOOK_MIN;
        let mut check = Instant::now();
        // Which of them are left is not known any more.
        self.burials.clear();
        loop {
            if Instant::now() >= check {
                if let Err(why) = self.probe(wire).await {
                    return why;
                }
                check = Instant::now() + self.shared.upstream().check_interval;
            }
            let is_done = match self.round(wire).await {
                Ok(is_done) => is_done,
                Err(why) => return why,
            };
            self.forget_superseded();
            if std::mem::take(&mut self.is_refused) {
                look = RECONNECT_MAX;
            }
            let next = if is_done { check } else { check.min(Instant::now() + look) };
            look = if is_done { LOOK_MIN } else { (look * 2).min(LOOK_MAX) };
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.shared.orders[self.host].wake.notified() => look = LOOK_MIN,
            }
        }
    }

    /// Asks the server what it is.
    async fn probe(&mut self, wire: &mut Wire) -> Result<(), String> {
        let is_single = self.shared.orders.len() == 1;
        let text = if is_single { statements::PROBE_SINGLE } else { statements::PROBE };
        let Some(rows) = self.ask(wire, Deed::Probe, text).await? else {
            // What it is stays unknown; sessions can be ended all the same.
            return Ok(());
        };
        let probed = statements::probed(&rows).ok_or("it does not tell what it is")?;
        self.shared.orders[self.host].server_began(probed.server_began_us);
        self.shared.see(self.host, probed.sight);
        Ok(())
    }

    /// Ends what is to be ended, once; true when nothing is left to do.
    async fn round(&mut self, wire: &mut Wire) -> Result<bool, String> {
        let is_swept = self.shared.is_swept_at_start(self.host) || self.sweep(wire).await?;
        let is_buried = self.bury(wire).await?;
        let mut after = None;
        loop {
            let pending = self.shared.orders[self.host].pending(after, BATCH_MAX);
            let Some((last, _)) = pending.last() else { break };
            after = Some(*last);
            let remaining = self.terminate(wire, &pending).await?;
            for (id, _) in &pending {
                match remaining.iter().find(|(still, _)| still == id) {
                    Some((_, began_us)) => self.shared.orders[self.host].seen(*id, *began_us),
                    None => self.shared.orders[self.host].done(*id),
                }
            }
        }
        Ok(is_swept && is_buried && self.shared.orders[self.host].is_empty())
    }

    /// Ends what an earlier process has left, once; true when nothing is left of it.
    ///
    /// That is what the first list has: whatever that process had sent a statement to was logged in
    /// by then. Sessions that come later are our own, and are let be.
    async fn sweep(&mut self, wire: &mut Wire) -> Result<bool, String> {
        let left = match self.left.take() {
            Some(left) => left,
            None => match self.list(wire).await? {
                Some(left) => left,
                None => return Ok(false),
            },
        };
        self.found = self.found.max(left.len());
        let mut remaining = Vec::new();
        for batch in left.chunks(BATCH_MAX) {
            // A connection that is lost meanwhile brings another list.
            remaining.extend(self.terminate(wire, batch).await?);
        }
        if remaining.is_empty() {
            self.shared.sweep(self.host, self.found);
            return Ok(true);
        }
        let is_left = |(id, _): &(u64, Order)| remaining.iter().any(|(still, _)| still == id);
        self.left = Some(left.into_iter().filter(is_left).collect());
        Ok(false)
    }

    /// The sessions that are there now and are not to be.
    async fn list(&mut self, wire: &mut Wire) -> Result<Option<Vec<(u64, Order)>>, String> {
        let upstream = self.shared.upstream().clone();
        let text = statements::left_behind(&upstream.replica, &own_roles(&upstream));
        let Some(rows) = self.ask(wire, Deed::List, &text).await? else { return Ok(None) };
        let left = statements::remaining(&rows).ok_or("it does not tell its sessions")?;
        let order = |(pid, began_us): (u64, Option<i64>)| {
            let order = Order { pid: u32::try_from(pid).ok()?, began_us, server_began_us: None };
            Some((pid, order))
        };
        Ok(Some(left.into_iter().filter_map(order).collect()))
    }

    /// Which of them are still there.
    pub(super) async fn terminate(
        &mut self,
        wire: &mut Wire,
        orders: &[(u64, Order)],
    ) -> Result<Vec<(u64, Option<i64>)>, String> {
        const SHAPE: &str = "it does not tell which backends are there";
        if let Ok(rows) = query(wire, &statements::terminate(orders)).await? {
            let remaining = statements::remaining(&rows).ok_or(SHAPE)?;
            if remaining.iter().any(|(_, began_us)| began_us.is_none()) {
                self.hidden("the server does not show when other roles' sessions began");
            }
            return Ok(remaining);
        }
        // One that must not be ended hides the others.
        let mut remaining = Vec::new();
        for order in orders {
            let text = statements::terminate(std::slice::from_ref(order));
            match self.ask(wire, Deed::Terminate, &text).await? {
                Some(rows) => remaining.extend(statements::remaining(&rows).ok_or(SHAPE)?),
                None => remaining.push((order.0, None)),
            }
        }
        Ok(remaining)
    }

    /// `None` when the server refuses it, which is told with the mend.
    pub(super) async fn ask(
        &mut self,
        wire: &mut Wire,
        deed: Deed,
        text: &str,
    ) -> Result<Option<Vec<Row>>, String> {
        match query(wire, text).await? {
            Ok(rows) => Ok(Some(rows)),
            Err(error) => {
                self.is_refused = true;
                let mend = mend::mend(deed, &error, &self.shared.upstream().control_role);
                self.complaint.say(&format!("the control role was refused: {error}; {mend}"));
                Ok(None)
            }
        }
    }

    /// The control role does not see all that it has to.
    pub(super) fn hidden(&mut self, why: &str) {
        let mend = mend::mend_hidden(&self.shared.upstream().control_role);
        self.complaint.say(&format!("{why}; {mend}"));
    }

    fn forget_superseded(&self) {
        if self.shared.is_superseded(self.host) {
            self.shared.orders[self.host].all_done();
        }
    }
}

/// The roles that nobody but Palisade logs in as.
pub(super) fn own_roles(upstream: &Upstream) -> Vec<&str> {
    match &upstream.login {
        Login::Held { roles } => roles.keys().map(String::as_str).collect(),
        Login::PassThrough => Vec::new(),
    }
}

/// The outer error ends the connection, the inner one does not.
async fn query(wire: &mut Wire, text: &str) -> Result<Result<Vec<Row>, ServerError>, String> {
    match wire.query(text).await {
        Ok(rows) => Ok(Ok(rows)),
        Err(QueryError::Refused(error)) => Ok(Err(error)),
        Err(QueryError::Over(why)) => Err(why),
    }
}
