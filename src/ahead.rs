//! Portions in turn: while one is worked on, the next is read and those before are written. Results, their order and the first error are those of
//! one after another.

#[cfg(any(test, feature = "cli-core"))]
use crate::Error;
use crate::Result;
#[cfg(any(test, feature = "cli-core"))]
use std::panic::resume_unwind;
#[cfg(any(test, feature = "cli-core"))]
use std::sync::mpsc::sync_channel;

/// Works on every portion, in order. Where `ahead`, the next one is read meanwhile, by the pool's threads, so that two are in hand; else one is.
pub(crate) fn in_turn<P: Send, X: Send>(
    portions: impl IntoIterator<Item = P>,
    ahead: bool,
    read: impl Fn(P) -> Result<X> + Sync,
    mut work: impl FnMut(X) -> Result<()> + Send,
) -> Result<()> {
    let mut portions = portions.into_iter();
    if !ahead {
        return portions.try_for_each(|portion| work(read(portion)?));
    }
    let mut next = portions.next().map(&read);
    while let Some(portion) = next {
        let (portion, following) = (portion?, portions.next());
        let (done, read) = rayon::join(|| work(portion), || following.map(&read));
        done?;
        next = read;
    }
    Ok(())
}

/// Makes things and writes them behind, in order, by a thread of its own that may wait for the disk: one is written, one waits, one is made.
///
/// # Errors
/// The writer's before those of making.
#[cfg(any(test, feature = "cli-core"))]
pub(crate) fn written_behind<Y: Send>(
    write: impl FnMut(Y) -> Result<()> + Send,
    make: impl FnOnce(&mut (dyn FnMut(Y) -> Result<()> + Send)) -> Result<()>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (give, take) = sync_channel(1);
        let writer = scope.spawn(move || take.into_iter().try_for_each(write));
        // Nobody takes what is given only where the writer has failed; why is told below.
        let made = make(&mut |thing| give.send(thing).map_err(|_| Error::Stopped));
        drop(give);
        match writer.join() {
            Ok(written) => written.and(made),
            Err(panic) => resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn fail(what: &str) -> Error {
        Error::Data(what.into())
    }

    #[test]
    fn portions_come_in_order_and_no_more_are_read_than_one_ahead() {
        for ahead in [false, true] {
            let (read, mut worked) = (AtomicUsize::new(0), Vec::new());
            let reader = |portion: usize| {
                read.fetch_add(1, Ordering::SeqCst);
                Ok(portion * 10)
            };
            let work = |x: usize| {
                worked.push(x);
                assert!(read.load(Ordering::SeqCst) <= worked.len() + usize::from(ahead));
                Ok(())
            };
            in_turn(0..50, ahead, reader, work).unwrap();
            assert_eq!(worked, (0..50).map(|portion| portion * 10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_is_the_one_that_is_told() {
        for ahead in [false, true] {
            let mut worked = Vec::new();
            let reader = |portion: usize| if portion == 3 { Err(fail("read 3")) } else { Ok(portion) };
            let error = in_turn(0..9, ahead, reader, |x| {
                worked.push(x);
                Ok(())
            });
            assert_eq!((error.unwrap_err().to_string(), worked), (fail("read 3").to_string(), vec![0, 1, 2]));
            let error = in_turn(0..9, ahead, reader, |x| if x == 2 { Err(fail("work 2")) } else { Ok(()) });
            assert_eq!(error.unwrap_err().to_string(), fail("work 2").to_string());
        }
    }

    #[test]
    fn what_was_made_before_an_error_is_written_and_the_writers_error_comes_first() {
        let mut written = Vec::new();
        let made = written_behind(
            |y: usize| {
                written.push(y);
                Ok(())
            },
            |give| (0..5).try_for_each(|y| if y == 4 { Err(fail("make 4")) } else { give(y) }),
        );
        assert_eq!((made.unwrap_err().to_string(), written), (fail("make 4").to_string(), vec![0, 1, 2, 3]));
        let full = |y: usize| if y == 1 { Err(fail("disk full")) } else { Ok(()) };
        let made = written_behind(full, |give| (0..1000).try_for_each(give));
        assert_eq!(made.unwrap_err().to_string(), fail("disk full").to_string());
        let stopped = std::panic::catch_unwind(|| {
            written_behind(
                |_: usize| Ok(()),
                |give| {
                    give(1)?;
                    resume_unwind(Box::new("stopped"))
                },
            )
        });
        assert_eq!(stopped.unwrap_err().downcast_ref(), Some(&"stopped"));
    }
}
