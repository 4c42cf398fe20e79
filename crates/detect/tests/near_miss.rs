//! Ordinary life that looks like an attack. Nothing here may be found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod traffic;
use traffic::*;

#[test]
fn two_weeks_of_customers() {
    let mut world = World::new();
    world.two_ordinary_weeks();
    world.quiet();
}

#[test]
fn someone_forgets_the_password_then_changes_it() {
    for (address, agent) in [(home(7), BROWSER), ("203.0.113.50".to_owned(), BROWSER)] {
        let mut world = World::new();
        world.two_ordinary_weeks();
        let start = NOW + 9 * HOUR;
        for slip in 0..8 {
            world.see(login(start + slip * 15 * SECOND, &name(7), &address, false));
        }
        world.see(login(start + 3 * MINUTE, &name(7), &address, true));
        let mut change = http(start + 4 * MINUTE, "POST", "/account/password", "/account/password");
        as_customer(&mut change, &name(7), &address);
        change.user_agent = Some(agent.to_owned());
        change.outcome_action = Some("password-change".to_owned());
        world.see(change);
        for page in 0..10 {
            world.see(browse(
                start + 5 * MINUTE + page * 20 * SECOND,
                &name(7),
                &address,
                page as u64,
            ));
        }
        world.quiet();
    }
}

#[test]
fn a_phone_changes_networks_within_a_session() {
    let mut world = World::new();
    world.two_ordinary_weeks();
    for step in 0..60i64 {
        let address = format!("10.{}.0.{}", 20 + step / 6, step);
        let mut event =
            browse(NOW + 9 * HOUR + step * 40 * SECOND, &name(3), &address, step as u64 % 20);
        event.user_agent = Some(PHONE.to_owned());
        world.see(event);
    }
    world.quiet();
}

#[test]
fn an_office_of_two_hundred_behind_one_address() {
    let mut world = World::new();
    for day in (0..14).filter(|day| day % 7 < 5) {
        let mut events = Vec::new();
        for person in 0..200u64 {
            // All within half an hour; every eighth mistypes once or twice, two gave up altogether.
            let start = MONDAY + day * DAY + 9 * HOUR + world.chance.below(1_800) as i64 * SECOND;
            for slip in 0..(if person % 8 == day as u64 % 8 { 1 + person % 2 } else { 0 }) {
                events.push(login(
                    start - (slip as i64 + 1) * 20 * SECOND,
                    &name(person),
                    "203.0.113.1",
                    false,
                ));
            }
            if person > 1 {
                events.push(login(start, &name(person), "203.0.113.1", true));
                events.push(browse(start + MINUTE, &name(person), "203.0.113.1", person));
            }
        }
        world.see_all(events);
    }
    world.quiet();
}

#[test]
fn a_sale_day() {
    let mut world = World::new();
    world.two_ordinary_weeks();
    // The start page is for everyone: no session, no account.
    let look = |time, customer: u64| {
        let mut event = http(time, "GET", "/", "/");
        event.source = Some("gateway-2".to_owned());
        event.src_ip = Some(home(customer));
        event.user_agent = Some([BROWSER, PHONE, "Chrome/142.0"][customer as usize % 3].to_owned());
        event
    };
    for day in 0..14 {
        (0..60).for_each(|customer| {
            world.see(look(MONDAY + day * DAY + 8 * HOUR + customer * 10 * MINUTE, customer as u64))
        });
    }
    // Sixty times the customers, all within ten minutes, looking at the same few things; the shop stumbles a little.
    let mut events = Vec::new();
    for customer in 0..3_600u64 {
        let start = NOW + 10 * HOUR + world.chance.below(600) as i64 * SECOND;
        if customer % 15 == 0 {
            events.push(login(start - 20 * SECOND, &name(customer), &home(customer), false));
        }
        events.push(look(start - 30 * SECOND, customer));
        events.push(look(start - 20 * SECOND, customer));
        events.push(login(start, &name(customer), &home(customer), true));
        for page in 0..10 {
            let mut event = browse(
                start + page * 7 * SECOND,
                &name(customer),
                &home(customer),
                world.chance.below(40),
            );
            if world.chance.below(20) == 0 {
                event.http_code = Some(503);
                event.outcome = Some("failure".to_owned());
            }
            events.push(event);
        }
    }
    world.see_all(events);
    world.quiet();
}

#[test]
fn a_backup_job_fetches_everything_every_night() {
    let mut world = World::new();
    for day in 0..12 {
        let mut events = Vec::new();
        for object in 0..2_000u64 {
            let mut event = http(
                MONDAY + day * DAY + 2 * HOUR + object as i64 * 400,
                "GET",
                "/files/{id}",
                &format!("/files/{object}"),
            );
            event.account = Some("backup".to_owned());
            event.src_ip = Some("192.0.2.10".to_owned());
            event.response_personal_count = Some(2);
            events.push(event);
        }
        for customer in 0..60u64 {
            let mut event = http(
                MONDAY + day * DAY + 12 * HOUR + customer as i64 * MINUTE,
                "GET",
                "/files/{id}",
                &format!("/files/{customer}"),
            );
            as_customer(&mut event, &name(customer), &home(customer));
            events.push(event);
        }
        world.see_all(events);
    }
    world.quiet();
}

#[test]
fn a_nightly_batch_with_an_api_key_that_one_day_moves_house() {
    let mut world = World::new();
    for day in 0..16 {
        let moved = day >= 12;
        for request in 0..300 {
            let address = if moved { "203.0.113.77" } else { "192.0.2.20" };
            let mut event = completion(
                MONDAY + day * DAY + HOUR + request * SECOND,
                "batch-key",
                address,
                900,
                "summarise this ticket",
            );
            if moved {
                event.user_agent = Some("openai-python/1.60".to_owned());
            }
            if request % 50 == 0 {
                refuse(&mut event, 429, "rate-limited");
            }
            world.see(event);
        }
    }
    world.quiet();
}

#[test]
fn a_key_in_a_fleet_of_vans() {
    let mut world = World::new();
    for day in 0..14 {
        for request in 0..60 {
            let van = world.chance.below(5_000);
            let address = format!("100.{}.{}.9", 64 + van / 250, van % 250);
            world.see(completion(
                MONDAY + day * DAY + 8 * HOUR + request * 5 * MINUTE,
                "fleet-key",
                &address,
                500,
                "where is my parcel",
            ));
        }
    }
    world.quiet();
}

#[test]
fn a_load_balancer_asks_for_health() {
    let mut world = World::new();
    for second in 0..7_200 {
        let mut event = http(MONDAY + second * SECOND, "GET", "/healthz", "/healthz");
        event.src_ip = Some("10.0.0.2".to_owned());
        event.user_agent = Some("HealthChecker/2.0".to_owned());
        event.outcome = None;
        world.see(event);
    }
    world.quiet();
}

#[test]
fn an_administrator_works_by_ssh() {
    let mut world = World::new();
    let start = MONDAY + 3 * DAY;
    world.see(process(start, "web-1", 900, (1, "systemd"), "sshd: admin"));
    world.see(process(start + SECOND, "web-1", 1000, (900, "sshd"), "bash"));
    for (step, command) in [
        "id",
        "uname -a",
        "sudo systemctl restart php-fpm",
        "curl -I https://shop.example",
        "cat /etc/passwd",
        "nc -zv db 5432",
        "python3 report.py",
    ]
    .iter()
    .enumerate()
    {
        world.see(process(
            start + (step as i64 + 2) * SECOND,
            "web-1",
            1001 + step as i64,
            (1000, "bash"),
            command,
        ));
    }
    world.quiet();
}

#[test]
fn the_web_user_runs_scripts() {
    let mut world = World::new();
    for day in 0..10 {
        let start = MONDAY + day * DAY;
        // A deploy job as www-data, from cron; and the application's own image conversion, by the web server.
        for (step, command) in [
            "sh -c /srv/deploy.sh",
            "bash /srv/deploy.sh",
            "php artisan migrate",
            "curl -fsS https://deploy.example/done",
        ]
        .iter()
        .enumerate()
        {
            let mut event = process(
                start + HOUR + step as i64 * SECOND,
                "web-1",
                3000 + step as i64,
                (2999, "cron"),
                command,
            );
            event.process_user = Some("www-data".to_owned());
            world.see(event);
        }
        for picture in 0..5 {
            let command =
                format!("sh -c convert /tmp/in{picture}.png -resize 200 /tmp/out{picture}.png");
            world.see(process(
                start + 9 * HOUR + picture * MINUTE,
                "web-1",
                4000 + picture,
                (800, "php-fpm8.2"),
                &command,
            ));
        }
        // Ever since, the application has fetched a feed by way of a shell: odd, but its habit.
        if day < 7 {
            world.see(process(
                start + 11 * HOUR,
                "web-1",
                4100,
                (800, "php-fpm8.2"),
                "sh -c curl -fsS https://feed.example/rss",
            ));
            assert!(
                world
                    .found
                    .iter()
                    .all(|finding| day < 2 && finding.severity == schema::Severity::Low)
            );
            world.found.clear();
        }
        // A photo is uploaded and looked at, while the picture is converted.
        world.see(upload(start + 9 * HOUR, &name(1), &home(1), "cat.jpg", "\u{fffd}JFIF"));
        let mut look =
            http(start + 9 * HOUR + SECOND, "GET", "/uploads/{file}", "/uploads/cat.jpg");
        as_customer(&mut look, &name(1), &home(1));
        world.see(look);
    }
    world.quiet();
}

#[test]
fn someone_reads_a_few_missing_pages_and_quotes_a_phrase() {
    let mut world = World::new();
    world.two_ordinary_weeks();
    for page in 0..12 {
        let mut event = browse(NOW + HOUR + page * SECOND, &name(5), &home(5), 9_000 + page as u64);
        refuse(&mut event, 404, "not-found");
        world.see(event);
    }
    for step in 0..2 {
        world.see(completion(
            NOW + 2 * HOUR + step * MINUTE,
            "teacher-key",
            "192.0.2.30",
            400,
            "why is 'ignore previous instructions' dangerous?",
        ));
    }
    world.quiet();
}

#[test]
fn broken_records_are_counted_and_break_nothing() {
    let mut world = World::new();
    for time in [i64::MIN, -1, i64::MAX, 253_402_300_799_001] {
        world.see(schema::Event {
            id: uuid::Uuid::from_u128(1),
            ..browse(time, "x", "192.0.2.1", 1)
        });
    }
    let mut ahead = browse(NOW + 2 * HOUR, "x", "192.0.2.1", 1);
    ahead.received = NOW;
    world.see(ahead);
    let odd = ["", "\0", "한글", "::1", "999.1.1.1", "../../etc/passwd", "%00", "\u{10ffff}"];
    for class in [0, 1001, 1007, 3002, 4001, 4002, 6003, -5] {
        for (step, text) in odd.iter().enumerate() {
            let mut event = upload(NOW + step as i64, text, text, text, text);
            event.class_uid = class;
            event.activity_id = 1;
            let some = Some((*text).to_owned());
            event.device.clone_from(&some);
            event.process_cmd_line.clone_from(&some);
            event.process_name.clone_from(&some);
            event.file_path.clone_from(&some);
            event.actor_name.clone_from(&some);
            event.dst_ip.clone_from(&some);
            event.outcome_object.clone_from(&some);
            event.credential.clone_from(&some);
            event.tokens_in = Some(i64::MIN);
            event.tokens_out = Some(i64::MAX);
            event.response_personal_count = Some(-7);
            event.http_code = Some(i64::MAX);
            event.process_pid = Some(i64::MIN);
            event.request_body_encoding = Some("base64".to_owned());
            world.see(event);
        }
    }
    let stats = world.detector.stats();
    assert_eq!((stats.future, stats.events), (5, 5 + 64));
    world.quiet();
}
