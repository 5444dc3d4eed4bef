// What node-postgres and postgres.js get from a server, as JSON: `node clients.mjs postgresql://...`. An answer is
// never judged here; that of a real PostgreSQL is what is expected.
import process from "node:process";

import pg from "pg";
import Cursor from "pg-cursor";
import QueryStream from "pg-query-stream";
import postgres from "postgres";

const address = process.argv[2];
const columns = "session_id, implant_id, session_date, started_at, ended_at, tasks, packet_loss, notes";
const first = `select ${columns} from neural.sessions order by session_id limit 3`;
const tests = "manufacturing.electrode_tests";
// Rows of a product of three tables: more than anyone can count.
const long = `select count(*) from ${tests} a, ${tests} b, ${tests} c where a.noise <> b.noise and b.noise <> c.noise`;

const typed = [
  ["int2", -7],
  ["int4", 2 ** 31 - 1],
  ["int8", "9007199254740993"],
  ["float4", 0.1],
  ["float8", -1.5e300],
  ["float8", "NaN"],
  ["numeric", "-12345678901234567890.123456789"],
  ["text", "it's \\ \"ü\" 🧠\n\t"],
  ["varchar", ""],
  ["bool", true],
  ["date", "2026-03-29"],
  ["timestamp", "2026-03-29 02:30:00.123456"],
  ["timestamptz", new Date(Date.UTC(2026, 2, 29, 1, 30, 0, 250))],
  ["bytea", Buffer.from([0, 1, 0x5c, 0xff])],
  ["int4[]", [1, null, 3]],
  ["text[]", ["a", 'b"c', "d,e", null, ""]],
];

// One thing that a client does, by its name.
const pgClient = {
  async simple(client) {
    const answer = await client.query(first);
    return [answer.command, answer.rowCount, fields(answer), answer.rows];
  },

  async several_statements(client) {
    const answers = await client.query("select true as a; select 'x' as b; select 1.5::float8 where false");
    return answers.map((answer) => [answer.command, answer.rowCount, fields(answer), answer.rows]);
  },

  async empty_statement(client) {
    const answer = await client.query(" ; ");
    return [answer.command, answer.rows];
  },

  async no_rows(client) {
    const answer = await client.query("select * from neural.sessions where session_id < $1", [0]);
    return [answer.rowCount, fields(answer), answer.rows];
  },

  async parameters_of_a_table(client) {
    const text = `select ${columns} from neural.sessions where implant_id = any($1) and session_date >= $2 and place <> $3 and session_id > $4 order by session_id limit 4`;
    return (await client.query(text, [[2, 7], "2026-02-01", "lab", "5040"])).rows;
  },

  async no_types_of_parameters(client) {
    const text = "select $1 as a, $2::int + 1 as b, coalesce($3, 'x') as c, $4::date as d";
    const answer = await client.query(text, ["text", "41", null, "2026-03-01"]);
    return [fields(answer), answer.rows];
  },

  async binary(client) {
    const answer = await client.query({ text: `${first.replace("packet_loss", "1.25::float8 as half, true as yes")}`, binary: true });
    return [fields(answer), answer.rows];
  },

  async rows_as_arrays(client) {
    return (await client.query({ text: first, rowMode: "array" })).rows;
  },

  async prepared_by_name(client) {
    const text = "select session_id from neural.sessions where implant_id = $1 order by session_id limit 2";
    const rows = [];
    for (const implant of [7, 2, 7]) {
      rows.push((await client.query({ name: "of an implant", text, values: [implant] })).rows);
    }
    return rows;
  },

  async cursor(client) {
    const cursor = client.query(new Cursor("select session_id from neural.sessions where session_id > $1 order by 1", [5100]));
    const parts = [await cursor.read(3), await cursor.read(4)];
    await cursor.close();
    const whole = client.query(new Cursor("select session_id from neural.sessions order by 1 limit 7"));
    for (let part = await whole.read(3); part.length > 0; part = await whole.read(3)) parts.push(part);
    parts.push(await whole.read(3));
    await whole.close();
    return [parts, (await client.query("select true as after")).rows];
  },

  async stream(client) {
    const ids = [];
    for await (const row of client.query(new QueryStream("select session_id from neural.sessions order by 1", [], { batchSize: 10 }))) {
      ids.push(row.session_id);
    }
    for await (const row of client.query(new QueryStream("select session_id from neural.sessions order by 1", [], { batchSize: 3 }))) {
      ids.push(row.session_id);
      if (ids.length > 110) break;
    }
    return [ids, (await client.query("select true as after")).rows];
  },

  async transaction(client) {
    const answers = [];
    const tell = async (text) => {
      try {
        const answer = await client.query(text);
        answers.push([text, answer.command, answer.rows]);
      } catch (error) {
        answers.push([text, error.code]);
      }
    };
    for (const text of [
      "begin isolation level repeatable read read only",
      "select count(*) as n from neural.sessions",
      "savepoint here",
      "select nothing from neural.sessions",
      "select true as one",
      "rollback to savepoint here",
      "select true as two",
      "release savepoint here",
      "commit",
      "select true as three",
    ]) {
      await tell(text);
    }
    return answers;
  },

  async types_of_literals(client) {
    return fields(await client.query("select 1 as number, 'x' as text, null as nothing, 1.5 as decimal, true as truth, 5000000000 as large"));
  },

  async limit_of_a_parameter(client) {
    return (await client.query("select session_id from neural.sessions order by 1 limit $1 offset $2", [3, 2])).rows;
  },

  async errors(client) {
    const told = [];
    for (const [text, values] of [
      ["selct 1"],
      ["select 1 +"],
      ["select nothing from neural.sessions"],
      ["select session_id from neural.nothing"],
      ["select nothing($1::int)", [1]],
      ["select $1::int", ["x"]],
      ["select 1 / (implant_id - implant_id) from neural.sessions"],
      ["select 'x'::int"],
      ["select session_id, count(*) from neural.sessions"],
      ["select session_id from neural.sessions a, neural.sessions b"],
      ["select $1::int, $2::int", [1]],
      ["select 300000::int2"],
      ["select date '2026-02-30'"],
      ["select sum(place) from neural.sessions"],
      ["select 1 union select 1, 2"],
      ["select (select session_id from neural.sessions)"],
    ]) {
      const error = await client.query(text, values).then(
        () => "none",
        (error) => [error.severity, error.code],
      );
      told.push([text, error]);
    }
    return [told, (await client.query("select true as after")).rows];
  },

  async own_settings(client) {
    await client.query("set application_name to 'node'; set statement_timeout to 60000; set time zone 'UTC'");
    const names = ["application_name", "statement_timeout", "timezone", "standard_conforming_strings", "client_encoding"];
    const values = [];
    for (const name of names) values.push((await client.query(`show ${name}`)).rows);
    return values;
  },
};
for (const [type, value] of typed) {
  // node-postgres reads no array with a null in binary, from no server.
  for (const binary of type.endsWith("[]") ? [false] : [false, true]) {
    pgClient[`parameter ${type} ${JSON.stringify(value)}${binary ? " binary" : ""}`] = async (client) => {
      const answer = await client.query({ text: `select $1::${type} as value, $2::${type} as missing`, values: [value, null], binary });
      return [fields(answer), answer.rows];
    };
  }
}

const others = {
  async pg_pool() {
    const pool = new pg.Pool({ connectionString: address, max: 4 });
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, at) => pool.query("select session_id + $1::int as id from neural.sessions order by 1 limit 1", [at])),
    );
    const error = await pool.query("select nothing").catch((error) => error.code);
    const after = await pool.query("select true as one");
    const open = pool.totalCount;
    await pool.end();
    return [ids.map((answer) => answer.rows), error, after.rows, open];
  },

  async pg_statement_timeout() {
    const client = new pg.Client({ connectionString: address, statement_timeout: 300, application_name: "node" });
    await client.connect();
    try {
      const error = await client.query(long).catch((error) => error.code);
      return [error, (await client.query("select true as after")).rows];
    } finally {
      await client.end();
    }
  },

  async pg_wrong_database() {
    const client = new pg.Client({ connectionString: address.replace(/[^/]*$/, "nothing") });
    return client.connect().catch((error) => error.code);
  },

  async js_rows(sql) {
    const rows = await sql.unsafe(first);
    const told = await sql`select session_id, place from neural.sessions where session_id in ${sql([5031, 5033])} order by 1`;
    return [rows.command, rows.count, rows.columns.map((column) => [column.name, column.type]), rows, told];
  },

  async js_parameters(sql) {
    const day = new Date(Date.UTC(2026, 1, 1));
    return await sql`
      select count(*) as n, ${"x"} as text, ${41}::int + 1 as number, ${true}::bool as yes, ${null}::text as missing,
        ${[1, 2, 3]}::int[] as list, ${day}::timestamptz as instant, ${Buffer.from("ab")}::bytea as bytes
      from neural.sessions where started_at >= ${day} and implant_id = any(${[2, 7]}::int[])`;
  },

  async js_types_of_the_server(sql) {
    // Asked for by itself before the first statement: arrays are only read where the server told of them.
    return await sql`select array['a', null, 'b'] as texts, array[1.5::float8, 2] as numbers, array[true] as truths, tasks from neural.sessions order by session_id limit 2`;
  },

  async js_describe(sql) {
    const { types, columns } = await sql`select session_id, place from neural.sessions where implant_id = ${7} and place = ${"lab"}`.describe();
    return [types, columns.map((column) => [column.name, column.type])];
  },

  async js_cursor(sql) {
    const parts = [];
    await sql`select session_id from neural.sessions order by 1`.cursor(30, (rows) => {
      parts.push(rows.map((row) => row.session_id));
      return parts.length === 3 ? sql.CLOSE : undefined;
    });
    for await (const rows of sql`select session_id from neural.sessions order by 1`.cursor(50)) parts.push(rows.length);
    const ids = [];
    await sql`select session_id from neural.sessions order by 1 limit 5`.forEach((row) => ids.push(row.session_id));
    return [parts, ids];
  },

  async js_transaction(sql) {
    const rows = await sql.begin("read only", async (sql) => {
      const [{ n }] = await sql`select count(*) as n from neural.sessions`;
      const error = await sql.savepoint((sql) => sql`select nothing from neural.sessions`).catch((error) => error.code);
      return [n, error, await sql`select true as one`];
    });
    const failed = await sql.begin((sql) => sql`select nothing from neural.sessions`).catch((error) => error.code);
    return [rows, failed, await sql`select true as two`];
  },

  async js_copy(sql) {
    let text = "";
    for await (const part of await sql`copy (${sql.unsafe(first)}) to stdout`.readable()) text += part;
    return text;
  },

  async js_many_at_once(sql) {
    const rows = await Promise.all(Array.from({ length: 40 }, (_, at) => sql`select ${at}::int + session_id as id from neural.sessions order by 1 limit 1`));
    return rows.flat();
  },

  async js_cancel(sql) {
    const query = sql.unsafe(long).execute();
    setTimeout(() => query.cancel(), 500);
    const error = await query.catch((error) => error.code);
    return [error, await sql`select true as after`];
  },

  async js_errors(sql) {
    const error = await sql`select nothing from neural.sessions where implant_id = ${7}`.catch((error) => error);
    return [error.name, error.code, error.severity];
  },
};

function fields(answer) {
  return answer.fields.map((field) => [field.name, field.dataTypeID, field.dataTypeSize, field.format]);
}

const answers = {};
// A client that waits for ever is told by its name, and the others still ask.
const DEADLINE_MS = 30_000;
async function tell(name, ask) {
  let timer;
  const late = new Promise((_, refuse) => {
    timer = setTimeout(() => refuse(new Error("no answer")), DEADLINE_MS);
  });
  try {
    answers[name] = { answer: await Promise.race([ask(), late]) };
  } catch (error) {
    answers[name] = { failed: `${error.code ?? ""} ${error.message}` };
  }
  clearTimeout(timer);
}

for (const [name, ask] of Object.entries(pgClient)) {
  await tell(`pg ${name}`, async () => {
    const client = new pg.Client({ connectionString: address });
    await client.connect();
    try {
      return await ask(client);
    } finally {
      await client.end();
    }
  });
}
for (const [name, ask] of Object.entries(others)) {
  await tell(name, async () => {
    const sql = postgres(address, { max: 4, onnotice: () => {} });
    try {
      return await ask(sql);
    } finally {
      await sql.end({ timeout: 5 });
    }
  });
}
process.stdout.write(JSON.stringify(answers, (_, value) => (typeof value === "bigint" ? `${value}n` : Number.isNaN(value) ? "NaN" : value)), () => process.exit());
