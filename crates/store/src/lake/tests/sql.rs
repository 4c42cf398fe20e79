use super::*;
use serde_json::json;

/// `acme` has ten requests, half of them in the lake; `rival` has one, with a secret.
async fn two_tenants(folder: &TempDir) -> Store {
    let store = open(folder);
    let acme = tenant("acme");
    store.append(&acme, requests(0..5)).await.unwrap();
    let mut secret = request(0);
    secret.message = Some("rival-secret".into());
    secret.account = Some("rival-account".into());
    store.append(&tenant("rival"), vec![secret]).await.unwrap();
    store.flush().await.unwrap();
    store.append(&acme, requests(5..10)).await.unwrap();
    store
}

#[tokio::test]
async fn columns_have_their_types_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let store = two_tenants(&folder).await;
    let sql = "SELECT time, http_code, path, request_truncated, request_headers, rest FROM events \
               WHERE account = 'user1' AND time >= '2026-11-22T00:00:04Z' ORDER BY time LIMIT 1";
    let result = store.query(&tenant("acme"), sql, QueryLimits::default()).await.unwrap();
    assert_eq!(
        result.rows,
        [[
            json!("2026-11-22T00:00:04.000Z"),
            json!(200),
            json!("/orders/4"),
            json!(null),
            json!(null),
            json!(null)
        ]]
    );
    let kinds: Vec<_> = result.columns.iter().map(|column| column.kind.as_str()).collect();
    assert_eq!(kinds, ["time", "integer", "text", "boolean", "text", "text"]);
    let all = ask(&store, "acme", "SELECT * FROM events LIMIT 1").await;
    assert_eq!(all[0].len(), schema::COLUMNS.len() + 3);
    let grouped = "WITH failed AS (SELECT account FROM events WHERE outcome = 'failure') \
                   SELECT account, count(*) AS n FROM failed GROUP BY account ORDER BY n DESC, account";
    assert_eq!(
        ask(&store, "acme", grouped).await,
        [[json!("user0"), json!(2)], [json!("user1"), json!(2)], [json!("user2"), json!(1)]]
    );
    assert!(!ask(&store, "acme", "EXPLAIN SELECT * FROM events").await.is_empty());
    assert_eq!(ask(&store, "nobody", "SELECT count(*) FROM events").await, [[json!(0)]]);
}

#[tokio::test]
async fn no_text_reaches_another_tenant_a_file_or_a_setting() {
    let folder = tempfile::tempdir().unwrap();
    let store = two_tenants(&folder).await;
    let root = folder.path().display();
    let rival = files_ending(&folder.path().join("lake/tenant=rival"), ".parquet");
    let own = files_ending(&folder.path().join("lake/tenant=acme"), ".parquet");
    let catalog = folder.path().join("catalog.sqlite");
    let mut attempts: Vec<String> = [
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.df_settings",
        "SELECT * FROM datafusion.information_schema.columns",
        "SHOW TABLES",
        "SHOW ALL",
        "DESCRIBE events",
        "SET datafusion.catalog.information_schema = true",
        "RESET datafusion.execution.batch_size",
        "SELECT * FROM rival.events",
        "SELECT * FROM rival.public.events",
        "SELECT * FROM \"tenant=rival\".events",
        "SELECT * FROM \"lake://rival/\"",
        "SELECT * FROM 'lake://rival/'",
        "SELECT * FROM read_parquet('lake://rival/')",
        "SELECT * FROM parquet_metadata('x')",
        "SELECT * FROM generate_series(1, 10)",
        "SELECT path FROM events UNION ALL SELECT message FROM rival.public.events",
        "SELECT (SELECT message FROM rival.public.events)",
        "SELECT * FROM events, rival.public.events",
        "WITH rival AS (SELECT * FROM public.rival) SELECT * FROM rival",
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION 'lake://rival/'",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE TABLE x AS SELECT * FROM events",
        "CREATE VIEW x AS SELECT * FROM events",
        "CREATE DATABASE x",
        "CREATE SCHEMA x",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "SELECT * INTO x FROM events",
        "DROP TABLE events",
        "TRUNCATE TABLE events",
        "INSERT INTO events (path) VALUES ('x')",
        "WITH x AS (SELECT 1) INSERT INTO events SELECT * FROM x",
        "UPDATE events SET path = 'x'",
        "DELETE FROM events",
        "COPY events TO '/tmp/plura-stolen.parquet'",
        "COPY (SELECT 1) TO 'lake://rival/x.parquet'",
        "EXPLAIN COPY events TO '/tmp/plura-stolen.parquet'",
        "EXPLAIN ANALYZE DELETE FROM events",
        "EXPLAIN CREATE TABLE x AS SELECT 1",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "BEGIN",
        "ATTACH DATABASE 'x'",
        "SELECT 1; SELECT * FROM rival.public.events",
        "SELECT 1; DROP TABLE events",
        "VALUES (1); DELETE FROM events",
        "SELECT @@version",
        "SELECT * FROM events AT (VERSION => 1)",
        "SELECT getenv('HOME')",
        "SELECT load_extension('x')",
        "",
        ";",
        "-- nothing",
    ]
    .map(str::to_owned)
    .into();
    for path in rival.iter().chain(&own).chain([&catalog, &PathBuf::from("/etc/passwd")]) {
        let path = path.display();
        attempts.push(format!("SELECT * FROM '{path}'"));
        attempts.push(format!("SELECT * FROM \"{path}\""));
        attempts.push(format!("SELECT * FROM 'file://{path}'"));
        attempts.push(format!("SELECT * FROM read_csv('{path}')"));
    }
    for path in &own {
        let name = path.strip_prefix(folder.path().join("lake/tenant=acme")).unwrap().display();
        attempts.push(format!("SELECT * FROM 'lake://acme/{name}'"));
        attempts.push(format!("SELECT * FROM '../tenant=rival/{name}'"));
    }
    for attempt in &attempts {
        let error = refused(&store, attempt).await;
        let told = format!("{error} {error:?}");
        assert!(error.code.starts_with("query-") || error.code.starts_with("unknown-"), "{told}");
        assert!(
            !told.contains("rival-") && !error.message.contains("panicked"),
            "{attempt}: {told}"
        );
    }
    assert!(!Path::new("/tmp/plura-stolen.parquet").exists());
    for allowed in [
        "SELECT * FROM events",
        "SELECT * FROM public.events",
        "SELECT * FROM events a LEFT JOIN events b ON a.account <> b.account",
        "EXPLAIN ANALYZE SELECT * FROM events WHERE account = 'rival-account'",
        "EXPLAIN VERBOSE SELECT * FROM events",
        "SELECT message FROM events WHERE message LIKE '%secret%' OR 1=1 --",
    ] {
        let text = format!("{:?}", ask(&store, "acme", allowed).await);
        assert!(!text.contains("rival-secret"), "{allowed}");
        assert!(!text.contains(&root.to_string()), "{allowed}: no path of this machine");
    }
    // And nothing above changed anything.
    assert_eq!(sequences(&store, "acme").await, (0..10).collect::<Vec<_>>());
    assert_eq!(ask(&store, "rival", "SELECT message FROM events").await, [[json!("rival-secret")]]);
}

#[tokio::test]
async fn an_error_says_what_where_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = two_tenants(&folder).await;
    let told = |error: StoreError| {
        let at = error.position.map(|p| format!("{}:{}", p.line, p.column)).unwrap_or_default();
        format!("{} {at} {} / {}", error.code, error.message, error.hint)
    };
    let unknown = refused(&store, "SELECT time,\n  acount FROM events").await;
    assert_eq!(
        told(unknown),
        "unknown-column 2:3 there is no column `acount` / did you mean `account`?"
    );
    let far = refused(&store, "SELECT zzzzzzzz FROM events").await;
    assert_eq!(far.hint, "docs/store.md lists the columns of `events`");
    let table = refused(&store, "SELECT * FROM evnts").await;
    assert_eq!(
        (table.code, table.message.as_str()),
        ("unknown-table", "there is no table `evnts`")
    );
    let function = refused(&store, "SELECT lenght(path) FROM events").await;
    assert_eq!(
        (function.code, function.message.as_str()),
        ("unknown-function", "there is no function `lenght`")
    );
    let syntax = refused(&store, "SELECT time FORM events WHERE").await;
    assert_eq!(syntax.code, "query-syntax");
    assert!(syntax.position.is_some(), "{syntax:?}");
}

fn rows_of(folder: &TempDir, parquet: &[u8]) -> usize {
    let file = folder.path().join("answer.parquet");
    std::fs::write(&file, parquet).unwrap();
    let file = std::fs::File::open(file).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
    reader.unwrap().build().unwrap().map(|batch| batch.unwrap().num_rows()).sum()
}

#[tokio::test]
async fn every_limit_holds_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = two_tenants(&folder).await;
    let acme = tenant("acme");
    let limits = QueryLimits { rows: 9, ..QueryLimits::default() };
    let cut = store.query(&acme, "SELECT path FROM events", limits).await.unwrap();
    assert_eq!((cut.rows.len(), cut.truncated, cut.truncated_by), (9, true, Some(Limit::Rows)));
    let limits = QueryLimits { rows: 10, ..QueryLimits::default() };
    let whole = store.query(&acme, "SELECT path FROM events", limits).await.unwrap();
    assert_eq!((whole.rows.len(), whole.truncated), (10, false));

    let limits = QueryLimits { bytes: 50, ..QueryLimits::default() };
    let cut = store.query(&acme, "SELECT path FROM events", limits).await.unwrap();
    assert_eq!((cut.rows.len(), cut.truncated_by), (2, Some(Limit::Bytes)));
    // A file is cut by the row too, and stays one that can be read.
    let limits = QueryLimits { bytes: 50, ..QueryLimits::default() };
    let cut = store.query_parquet(&acme, "SELECT path FROM events", limits).await.unwrap();
    assert_eq!((cut.rows, cut.truncated_by), (2, Some(Limit::Bytes)));
    assert_eq!(rows_of(&folder, &cut.bytes), 2);
    let limits = QueryLimits { bytes: 5, ..QueryLimits::default() };
    let none = store.query_parquet(&acme, "SELECT path FROM events", limits).await.unwrap();
    assert_eq!((rows_of(&folder, &none.bytes), none.truncated_by), (0, Some(Limit::Bytes)));

    let cross = "SELECT count(*) FROM events a, events b, events c, events d, events e, events f, \
                 events g, events h, events i, events j WHERE a.path || j.path = 'x'";
    let limits = QueryLimits { time: Duration::from_millis(300), ..QueryLimits::default() };
    assert_eq!(store.query(&acme, cross, limits).await.unwrap_err().code, "query-timeout");

    let limits = QueryLimits { memory_bytes: 1000, ..QueryLimits::default() };
    let sort = "SELECT path, count(*) FROM events GROUP BY path ORDER BY path";
    assert_eq!(store.query(&acme, sort, limits).await.unwrap_err().code, "query-memory");

    // As deep as it gets: 1 + 1 + …, planned and computed without running out of stack.
    let deep = format!("SELECT {} FROM events LIMIT 1", vec!["http_code"; 295].join(" + "));
    assert_eq!(ask(&store, "acme", &deep).await, [[json!(295 * 200)]]);
    let deeper = format!("SELECT {}", vec!["1"; 400].join(" + "));
    assert_eq!(refused(&store, &deeper).await.code, "query-too-long");
    let nested = format!("SELECT {}1{}", "(".repeat(200), ")".repeat(200));
    assert_eq!(refused(&store, &nested).await.code, "query-syntax");
    let list =
        format!("SELECT count(*) FROM events WHERE http_code IN ({})", vec!["200"; 5000].join(","));
    assert_eq!(ask(&store, "acme", &list).await, [[json!(10)]]);
}

#[tokio::test]
async fn a_look_up_opens_only_what_may_hold_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for hour in 0..4 {
        let mut events = requests(hour * 3600..hour * 3600 + 100);
        // Every file spans the same accounts: only a bloom filter can tell them apart.
        for (index, event) in events.iter_mut().enumerate() {
            event.account = Some(format!("user-{index}-{hour}"));
        }
        store.append(&tenant("acme"), events).await.unwrap();
        store.flush().await.unwrap();
    }
    let plan = async |sql: &str| {
        let rows = ask(&store, "acme", &format!("EXPLAIN ANALYZE {sql}")).await;
        rows.iter().map(|row| row[1].as_str().unwrap().to_owned()).collect::<String>()
    };
    let by_value = plan("SELECT path FROM events WHERE account = 'user-5-2'").await;
    assert!(by_value.contains("row_groups_pruned_bloom_filter=4 total → 1 matched"), "{by_value}");
    let by_time = plan("SELECT path FROM events WHERE time >= '2026-11-22T02:30:00Z'").await;
    assert_eq!(by_time.matches(".parquet").count(), 1, "{by_time}");
    let by_class = plan("SELECT path FROM events WHERE class_uid = 1007").await;
    assert_eq!(by_class.matches(".parquet").count(), 0, "{by_class}");
}
