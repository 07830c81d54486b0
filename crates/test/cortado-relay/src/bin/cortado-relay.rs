//! The relay on the command line: listens, carries, and does what standard input says.
//!
//! `help` lists the orders. Start reading at [`obey`].

use clap::Parser;
use cortado_relay::{Cut, Direction, Relay, TcpFaults, UdpFaults};
use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::time::Duration;

/// A relay for TCP and UDP that can be broken while it runs.
#[derive(Parser)]
struct Arguments {
    /// Where to listen, on TCP and UDP; port 0 for a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What stands behind it.
    #[arg(long)]
    to: SocketAddr,
}

const HELP: &str = "\
delay in|out MS     TCP bytes come so late      loss in|out PART    this part of datagrams is lost
stall in|out        none come                   twice in|out PART   this part comes twice
rate in|out BYTES   so many in a second         late in|out MS      they come so late
reset | close       every TCP connection        refuse              new TCP connections
half in|out         one direction of each       heal                no faults any more
status              what has been carried       quit";

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let relay = Relay::listen(arguments.listen, arguments.to).await?;
    println!("{} carries to {}; `help` lists the orders", relay.address(), arguments.to);
    let (lines, mut orders) = tokio::sync::mpsc::channel(16);
    // Reading standard input cannot be given up: a thread of its own does not hold up the end.
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = orders.recv().await {
        match obey(&relay, &line) {
            Ok(Some(answer)) => println!("{answer}"),
            Ok(None) => return Ok(()),
            Err(why) => eprintln!("{why}; `help` lists the orders"),
        }
    }
    Ok(())
}

/// Carries out one order, and answers what to print; `None` if it was the last.
fn obey(relay: &Relay, line: &str) -> Result<Option<String>, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let tcp = |direction, faults| relay.tcp.set(direction, faults);
    let udp = |direction, faults| relay.udp.set(direction, faults);
    match words[..] {
        ["quit"] => return Ok(None),
        ["help"] => return Ok(Some(HELP.to_owned())),
        ["status"] => return Ok(Some(status(relay))),
        ["reset"] => relay.tcp.cut(Cut::Reset),
        ["close"] => relay.tcp.cut(Cut::Close),
        ["refuse"] => relay.tcp.refuse(true),
        ["heal"] => {
            relay.tcp.heal();
            relay.udp.heal();
        }
        ["half", way] => relay.tcp.cut(Cut::HalfClose(direction(way)?)),
        ["stall", way] => {
            tcp(direction(way)?, TcpFaults { stall: true, ..TcpFaults::default() });
        }
        ["delay", way, ms] => {
            tcp(direction(way)?, TcpFaults { delay: millis(ms)?, ..TcpFaults::default() });
        }
        ["rate", way, bytes] => {
            let bytes_per_second = Some(number(bytes)?);
            tcp(direction(way)?, TcpFaults { bytes_per_second, ..TcpFaults::default() });
        }
        ["loss", way, part] => {
            udp(direction(way)?, UdpFaults { loss: number(part)?, ..UdpFaults::default() });
        }
        ["twice", way, part] => {
            let duplication = number(part)?;
            udp(direction(way)?, UdpFaults { duplication, ..UdpFaults::default() });
        }
        ["late", way, ms] => {
            udp(direction(way)?, UdpFaults { delay: millis(ms)?, ..UdpFaults::default() });
        }
        _ => return Err("unknown order".to_owned()),
    }
    Ok(Some("done".to_owned()))
}

fn status(relay: &Relay) -> String {
    let (tcp, udp) = (&relay.tcp, &relay.udp);
    let (inward, outward) = (Direction::In, Direction::Out);
    format!(
        "connections={} bytes_in={} bytes_out={} datagrams_in={} datagrams_out={}",
        tcp.open(),
        tcp.carried(inward),
        tcp.carried(outward),
        udp.carried(inward),
        udp.carried(outward),
    )
}

fn direction(word: &str) -> Result<Direction, String> {
    match word {
        "in" => Ok(Direction::In),
        "out" => Ok(Direction::Out),
        _ => Err(format!("{word} is neither in nor out")),
    }
}

fn millis(word: &str) -> Result<Duration, String> {
    number(word).map(Duration::from_millis)
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word} is no such number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn orders_are_obeyed_or_refused() {
        let nowhere = ([127, 0, 0, 1], 9).into();
        let relay = Relay::start(nowhere).await.expect("a free port");
        let orders = [
            "delay in 5",
            "stall out",
            "rate in 1000",
            "loss out 0.5",
            "twice in 1",
            "late in 5",
            "reset",
            "close",
            "half in",
            "refuse",
            "heal",
            "status",
            "help",
        ];
        for order in orders {
            assert!(matches!(obey(&relay, order), Ok(Some(_))), "{order}");
            let word = order.split(' ').next().expect("a word");
            assert!(word == "help" || HELP.contains(word), "the help names {word}");
        }
        assert_eq!(obey(&relay, "quit"), Ok(None));
        for order in ["", "stall", "stall up", "delay in soon", "rate in -1", "fly"] {
            assert!(obey(&relay, order).is_err(), "{order}");
        }
    }
}
