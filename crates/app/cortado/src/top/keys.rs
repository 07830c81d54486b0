//! Keys, as they are pressed: the terminal gives them one by one, without showing them.
//!
//! Start reading at [`Keys::listen`].

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::future;
use std::io::{self, Read};
use std::thread;
use tokio::sync::mpsc::{Receiver, channel};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Pause,
    Other,
}

/// The keyboard of the terminal, if standard input is one. Gives it back when dropped.
#[derive(Debug)]
pub(super) struct Keys {
    before: Option<Termios>,
    pressed: Option<Receiver<Key>>,
}

/// Keys that wait: somebody leans on the keyboard.
const PRESSED_MAX: usize = 16;

impl Keys {
    /// From now on keys come one by one.
    pub(super) fn listen() -> Keys {
        let Ok(before) = tcgetattr(io::stdin()) else {
            return Keys { before: None, pressed: None };
        };
        let mut raw = before.clone();
        // Signals stay: Ctrl-C is one.
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        if tcsetattr(io::stdin(), OptionalActions::Now, &raw).is_err() {
            return Keys { before: None, pressed: None };
        }
        let (press, pressed) = channel(PRESSED_MAX);
        // Ends with the process: reading a terminal cannot be broken off.
        thread::spawn(move || {
            for byte in io::stdin().lock().bytes().map_while(Result::ok) {
                if press.blocking_send(key_of(byte)).is_err() {
                    return;
                }
            }
        });
        Keys { before: Some(before), pressed: Some(pressed) }
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Key {
        if let Some(pressed) = &mut self.pressed {
            if let Some(key) = pressed.recv().await {
                return key;
            }
            // The terminal has been closed: a signal says so.
            self.pressed = None;
        }
        future::pending().await
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Where the terminal is gone, nothing need be given back.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn key_of(byte: u8) -> Key {
    match byte {
        b'q' | b'Q' => Key::Quit,
        b' ' | b'p' => Key::Pause,
        _ => Key::Other,
    }
}
