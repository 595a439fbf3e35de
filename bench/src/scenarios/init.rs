//! From the spawn to the first `/next`.

use super::{HELLO, SELECT};
use crate::args::Args;
use crate::measure::{Starter, starts};
use crate::report::Report;
use crate::setting::{Setting, variable};
use crate::{Result, progress};

const AT_MOST: f64 = 2.0;

/// The secrets that `todos` reads.
const SECRETS: [&str; 3] = ["DATABASE_SECRET_ID", "TOKEN_PUBLIC_KEYS_SECRET_ID", "CURSOR_KEY_SECRET_ID"];

/// Measures it for functions and floors.
///
/// # Errors
/// One does not start.
pub(crate) fn run(args: &Args, setting: &Setting, report: &mut Report) -> Result<()> {
    let replayed =
        setting.secrets.as_ref().map(|secrets| Ok::<_, crate::Error>(setting.with_secrets(secrets.replayed()?)));
    let replayed = replayed.transpose()?;
    let row = |function, secrets, setting, floor, at_most| Starter { function, secrets, setting, floor, at_most };
    let mut starters =
        vec![row(HELLO, "", setting, None, None), row("health", "", setting, Some(HELLO), Some(AT_MOST))];
    if setting.database.is_some() {
        starters.push(row(SELECT, "", setting, None, None));
        starters.push(row("todos", "emulated", setting, Some(SELECT), Some(AT_MOST)));
        starters.push(row("auth", "emulated", setting, Some(SELECT), None));
        if let Some(setting) = &replayed {
            starters.push(row("todos", "replayed", setting, Some(SELECT), Some(AT_MOST)));
            starters.push(row("auth", "replayed", setting, Some(SELECT), None));
        }
    }
    starters.retain(|starter| setting.has(starter.function));
    let rows = starts(&starters, args.blocks, args.starts.div_ceil(args.blocks))?;
    report.starts(&starters, &rows);
    let ids: Vec<_> = SECRETS.into_iter().filter_map(variable).collect();
    if let Some(secrets) = setting.secrets.as_ref().filter(|_| !ids.is_empty()) {
        progress("init: the secrets alone");
        let ms = secrets.batch_time(&ids, 30)?.as_secs_f64() * 1000.0;
        report.note(&format!(
            "One BatchGetSecretValue of todos's {} secrets takes the emulator {ms:.1} ms by a bare HTTP client.",
            ids.len()
        ));
    }
    Ok(())
}
