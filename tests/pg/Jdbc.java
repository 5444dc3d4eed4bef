// What JDBC gets from a server, a line for each thing: `java -cp postgresql.jar Jdbc.java postgresql://...`. DBeaver,
// Metabase and Tableau stand on it. An answer is never judged here; that of a real PostgreSQL is what is expected.

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.TreeMap;

class Jdbc {
    static final String TESTS = "manufacturing.electrode_tests";
    // Rows of a product of three tables: more than anyone can count.
    static final String LONG = "select count(*) from " + TESTS + " a, " + TESTS + " b, " + TESTS
        + " c where a.noise <> b.noise and b.noise <> c.noise";
    static final String FIRST = "select session_id, implant_id, session_date, started_at, ended_at, place, tasks, packet_loss, notes"
        + " from neural.sessions order by session_id limit 3";
    static String address;

    interface Ask {
        void ask(Connection connection, List<String> answer) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        String[] parts = arguments[0].replace("postgresql://", "").split("@");
        address = "jdbc:postgresql://" + parts[1] + "?user=" + parts[0];

        tell("schemas", (c, answer) -> rows(c.getMetaData().getSchemas(null, "ne%"), answer, "TABLE_SCHEM"));
        tell("catalogs", (c, answer) -> rows(c.getMetaData().getCatalogs(), answer, "TABLE_CAT"));
        tell("kinds of tables", (c, answer) -> rows(c.getMetaData().getTableTypes(), answer));
        for (String table : new String[] {"neural.sessions", "neural.units", "imaging.slides", "lab.reagents", TESTS, "training.decoders"}) {
            String schema = table.split("\\.")[0];
            String name = table.split("\\.")[1];
            tell("table " + table, (c, answer) -> rows(c.getMetaData().getTables(null, schema, name, new String[] {"TABLE"}), answer));
            tell("columns " + table, (c, answer) -> rows(c.getMetaData().getColumns(null, schema, name, "%"), answer));
            tell("keys " + table, (c, answer) -> {
                DatabaseMetaData meta = c.getMetaData();
                answer.add("primary");
                rows(meta.getPrimaryKeys(null, schema, name), answer);
                answer.add("imported");
                rows(meta.getImportedKeys(null, schema, name), answer);
                answer.add("exported");
                rows(meta.getExportedKeys(null, schema, name), answer);
                answer.add("indexes");
                rows(meta.getIndexInfo(null, schema, name, false, false), answer);
                answer.add("cross");
                rows(meta.getCrossReference(null, schema, name, null, schema, name), answer);
            });
        }
        tell("tables by pattern", (c, answer) -> {
            rows(c.getMetaData().getTables(null, "neural", "ses%", new String[] {"TABLE", "VIEW"}), answer, "TABLE_NAME");
            rows(c.getMetaData().getTables(null, "%", "session_", null), answer, "TABLE_NAME");
            rows(c.getMetaData().getColumns(null, "neural", "session_", "session\\_%"), answer, "COLUMN_NAME");
        });
        tell("types", (c, answer) -> {
            TreeMap<String, String> known = new TreeMap<>();
            ResultSet types = c.getMetaData().getTypeInfo();
            while (types.next()) {
                known.put(types.getString("TYPE_NAME"), types.getString("DATA_TYPE") + " " + types.getString("PRECISION") + " " + types.getString("CASE_SENSITIVE"));
            }
            for (String name : new String[] {"bool", "bytea", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "date", "time", "timestamp", "timestamptz", "json", "_int4", "_text"}) {
                answer.add(name + " " + known.get(name));
            }
        });
        tell("functions, privileges and the rest", (c, answer) -> {
            DatabaseMetaData meta = c.getMetaData();
            count(meta.getSchemas());
            count(meta.getBestRowIdentifier(null, "neural", "sessions", DatabaseMetaData.bestRowSession, false));
            count(meta.getVersionColumns(null, "neural", "sessions"));
            count(meta.getProcedures(null, "neural", "%"));
            count(meta.getFunctions(null, "neural", "%"));
            count(meta.getTablePrivileges(null, "neural", "sessions"));
            count(meta.getColumnPrivileges(null, "neural", "sessions", "%"));
            count(meta.getUDTs(null, "neural", "%", null));
            count(meta.getClientInfoProperties());
            answer.add("asked");
        });
        tell("limits", (c, answer) -> {
            DatabaseMetaData meta = c.getMetaData();
            answer.add(meta.getDatabaseProductName() + " " + meta.getDatabaseMajorVersion() + " " + meta.getMaxColumnNameLength());
            answer.add(meta.getIdentifierQuoteString() + " " + meta.getDefaultTransactionIsolation());
            meta.getSQLKeywords();
            c.getTransactionIsolation();
            c.getSchema();
            answer.add(c.getCatalog() + " " + c.isReadOnly() + " " + c.isValid(20));
        });

        for (boolean binary : new boolean[] {false, true}) {
            String form = binary ? " binary" : "";
            tell("rows" + form, binary, (c, answer) -> rows(c.createStatement().executeQuery(FIRST), answer));
            for (String table : new String[] {"imaging.slides", "lab.reagents"}) {
                tell("rows " + table + form, binary, (c, answer) -> {
                    rows(c.prepareStatement("select * from " + table).executeQuery(), answer);
                    answer.sort(null);
                });
            }
            tell("parameters" + form, binary, (c, answer) -> parameters(c, answer));
            tell("where" + form, binary, (c, answer) -> {
                PreparedStatement ask = c.prepareStatement(
                    "select session_id, place from neural.sessions where implant_id = any(?) and session_date >= ? and place <> ? and started_at > ? order by 1 limit ? offset ?");
                ask.setArray(1, c.createArrayOf("int4", new Integer[] {2, 7}));
                ask.setDate(2, Date.valueOf("2026-02-01"));
                ask.setString(3, "lab");
                ask.setObject(4, OffsetDateTime.parse("2026-02-02T00:00:00Z"));
                ask.setInt(5, 4);
                ask.setLong(6, 1);
                for (int round = 0; round < 3; round++) {
                    rows(ask.executeQuery(), answer);
                }
            });
        }

        tell("columns of an answer", (c, answer) -> describe(c.createStatement().executeQuery("select * from neural.sessions where false").getMetaData(), answer));
        tell("columns before an answer", (c, answer) -> {
            PreparedStatement ask = c.prepareStatement("select session_id, place, packet_loss from neural.sessions where implant_id = ? and place = ?");
            describe(ask.getMetaData(), answer);
            ParameterMetaData parameters = ask.getParameterMetaData();
            for (int at = 1; at <= parameters.getParameterCount(); at++) {
                answer.add(parameters.getParameterTypeName(at) + " " + parameters.getParameterType(at));
            }
        });
        tell("few rows at a time", (c, answer) -> {
            c.setAutoCommit(false);
            Statement ask = c.createStatement();
            ask.setFetchSize(10);
            ResultSet found = ask.executeQuery("select session_id from neural.sessions order by 1");
            // Another statement while the portal of the first is open.
            for (int at = 0; at < 25 && found.next(); at++) {
                answer.add(found.getString(1));
            }
            rows(c.createStatement().executeQuery("select count(*) from neural.sessions"), answer);
            while (found.next()) {
                answer.add(found.getString(1));
            }
            c.commit();
        });
        tell("at most so many rows", (c, answer) -> {
            Statement ask = c.createStatement();
            ask.setMaxRows(4);
            rows(ask.executeQuery("select session_id from neural.sessions order by 1"), answer);
        });
        tell("rows walked backwards", (c, answer) -> {
            Statement ask = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY);
            ResultSet found = ask.executeQuery("select session_id from neural.sessions order by 1");
            found.last();
            answer.add(found.getRow() + " " + found.getLong(1));
            found.previous();
            answer.add(found.getRow() + " " + found.getLong(1));
        });
        tell("several statements", (c, answer) -> {
            Statement ask = c.createStatement();
            boolean rows = ask.execute("select 'a'; set application_name = 'x'; select 'b'");
            while (rows || ask.getUpdateCount() != -1) {
                if (rows) {
                    rows(ask.getResultSet(), answer);
                } else {
                    answer.add("count " + ask.getUpdateCount());
                }
                rows = ask.getMoreResults();
            }
        });
        tell("transaction", (c, answer) -> {
            c.setReadOnly(true);
            c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            c.setAutoCommit(false);
            rows(c.createStatement().executeQuery("select count(*) from neural.sessions"), answer);
            var here = c.setSavepoint("here");
            refused(() -> c.createStatement().executeQuery("select nothing"), answer);
            refused(() -> c.createStatement().executeQuery("select 1"), answer);
            c.rollback(here);
            rows(c.createStatement().executeQuery("select 'after'"), answer);
            c.commit();
            answer.add(c.getTransactionIsolation() + " " + c.isReadOnly());
        });
        tell("timeout", (c, answer) -> {
            Statement ask = c.createStatement();
            ask.setQueryTimeout(1);
            refused(() -> ask.executeQuery(LONG), answer);
            rows(c.createStatement().executeQuery("select 'after'"), answer);
        });
        tell("cancel", (c, answer) -> {
            Statement ask = c.createStatement();
            Thread other = new Thread(() -> {
                try {
                    Thread.sleep(500);
                    ask.cancel();
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            });
            other.start();
            refused(() -> ask.executeQuery(LONG), answer);
            other.join();
            rows(c.createStatement().executeQuery("select 'after'"), answer);
        });
        tell("errors", (c, answer) -> {
            for (String sql : new String[] {"selct 1", "select nothing from neural.sessions", "select 1 from neural.nothing", "select nothing(1)", "select 'x'::int"}) {
                refused(() -> c.createStatement().executeQuery(sql), answer);
            }
            PreparedStatement ask = c.prepareStatement("select session_id from neural.sessions where session_id = ?");
            ask.setObject(1, "x", Types.OTHER);
            refused(ask::executeQuery, answer);
        });
        System.exit(0);
    }

    static void parameters(Connection c, List<String> answer) throws Exception {
        PreparedStatement ask = c.prepareStatement(
            "select ?::int2, ?::int4, ?::int8, ?::float4, ?::float8, ?::numeric, ?::text, ?::bool, ?::date, ?::timestamp, ?::timestamptz, ?::bytea, ?::int4[], ?::text[], ?::text, ?::int4");
        ask.setShort(1, (short) -7);
        ask.setInt(2, Integer.MAX_VALUE);
        ask.setLong(3, Long.MIN_VALUE);
        ask.setFloat(4, 0.1f);
        ask.setDouble(5, -1.5e300);
        ask.setBigDecimal(6, new BigDecimal("-12345678901234567890.123456789"));
        ask.setString(7, "it's \\ \"ü\" 🧠\n");
        ask.setBoolean(8, true);
        ask.setObject(9, LocalDate.parse("2026-03-29"));
        ask.setObject(10, LocalDateTime.parse("2026-03-29T02:30:00.123456"));
        ask.setObject(11, OffsetDateTime.parse("2026-03-29T03:30:00.25+02:00"));
        ask.setBytes(12, new byte[] {0, 1, 0x5c, -1});
        ask.setArray(13, c.createArrayOf("int4", new Integer[] {1, null, 3}));
        ask.setArray(14, c.createArrayOf("text", new String[] {"a", "b\"c", "d,e", null, ""}));
        ask.setNull(15, Types.VARCHAR);
        ask.setNull(16, Types.INTEGER);
        // The driver changes to statements by name, and to binary, in the course of a few rounds.
        for (int round = 0; round < 6; round++) {
            ResultSet found = ask.executeQuery();
            found.next();
            for (int at = 1; at <= 16; at++) {
                Object value = found.getObject(at);
                answer.add(found.getMetaData().getColumnTypeName(at) + " " + (value instanceof byte[] bytes ? Arrays.toString(bytes) : String.valueOf(value)));
            }
        }
    }

    static void describe(ResultSetMetaData meta, List<String> answer) throws SQLException {
        for (int at = 1; at <= meta.getColumnCount(); at++) {
            answer.add(String.join(" ", meta.getColumnLabel(at), meta.getColumnTypeName(at), String.valueOf(meta.getColumnType(at)), meta.getColumnClassName(at),
                String.valueOf(meta.getPrecision(at)), String.valueOf(meta.getScale(at)), String.valueOf(meta.isSigned(at))));
        }
    }

    static void rows(ResultSet found, List<String> answer, String... columns) throws SQLException {
        ResultSetMetaData meta = found.getMetaData();
        while (found.next()) {
            List<String> row = new ArrayList<>();
            if (columns.length > 0) {
                for (String column : columns) {
                    row.add(found.getString(column));
                }
            } else {
                for (int at = 1; at <= meta.getColumnCount(); at++) {
                    // The real server's tables have no comments.
                    if (!meta.getColumnLabel(at).equals("REMARKS")) {
                        row.add(meta.getColumnLabel(at) + "=" + (found.getObject(at) instanceof byte[] bytes ? Arrays.toString(bytes) : found.getString(at)));
                    }
                }
            }
            answer.add(String.join(" ", row));
        }
    }

    static void count(ResultSet found) throws SQLException {
        while (found.next()) {}
    }

    interface Refused {
        void ask() throws SQLException;
    }

    static void refused(Refused ask, List<String> answer) {
        try {
            ask.ask();
            answer.add("not refused");
        } catch (SQLException error) {
            answer.add(error.getSQLState());
        }
    }

    static void tell(String name, Ask ask) {
        tell(name, false, ask);
    }

    static void tell(String name, boolean binary, Ask ask) {
        List<String> answer = new ArrayList<>();
        String word = "answer";
        Properties properties = new Properties();
        // Everything prepared by name at once, or nothing.
        properties.setProperty("prepareThreshold", binary ? "-1" : "5");
        properties.setProperty("ApplicationName", "Jdbc");
        try (Connection connection = DriverManager.getConnection(address, properties)) {
            ask.ask(connection, answer);
        } catch (Exception error) {
            word = "failed";
            answer.add((error instanceof SQLException sql ? sql.getSQLState() + " " : "") + error.getMessage());
        }
        StringBuilder line = new StringBuilder("{" + quoted(name) + ": {" + quoted(word) + ": [");
        for (int at = 0; at < answer.size(); at++) {
            line.append(at == 0 ? "" : ", ").append(quoted(answer.get(at)));
        }
        System.out.println(line + "]}}");
    }

    static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char letter : String.valueOf(text).toCharArray()) {
            if (letter == '"' || letter == '\\') {
                quoted.append('\\').append(letter);
            } else if (letter < ' ' || letter > '~') {
                quoted.append(String.format("\\u%04x", (int) letter));
            } else {
                quoted.append(letter);
            }
        }
        return quoted.append('"').toString();
    }
}
