// PostgreSQL's JDBC driver: on the server itself and through Palisade, it has to print the same.
// Run as a single file; the environment has URL, and USER and PASSWORD.

import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.sql.*;
import java.util.Arrays;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObjectManager;

public class CheckJdbc {
    static void step(Object... told) {
        StringBuilder line = new StringBuilder("ok");
        for (Object one : told) line.append(' ').append(one);
        System.out.println(line);
    }

    interface Call { void run() throws Exception; }

    static String failed(Call call) throws Exception {
        try {
            call.run();
        } catch (SQLException error) {
            return error.getSQLState();
        }
        return "nothing failed";
    }

    static Connection connect() throws SQLException {
        return DriverManager.getConnection(System.getenv("URL"));
    }

    static Object value(Connection conn, String sql) throws SQLException {
        try (Statement statement = conn.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getObject(1);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Connection conn = connect();
        Statement statement = conn.createStatement();
        statement.execute("SET client_min_messages = warning; DROP SCHEMA IF EXISTS by_jdbc CASCADE; CREATE SCHEMA by_jdbc");
        statement.execute("SET search_path = by_jdbc");
        statement.execute("CREATE TABLE item (id int PRIMARY KEY, name text, data bytea)");

        PreparedStatement insert = conn.prepareStatement("INSERT INTO item VALUES (?, ?, ?)");
        for (int n = 0; n < 1000; n++) {
            insert.setInt(1, n);
            insert.setString(2, "many " + n);
            insert.setBytes(3, new byte[] {0, (byte) n});
            insert.addBatch();
        }
        step("batch", Arrays.stream(insert.executeBatch()).sum());
        PreparedStatement select = conn.prepareStatement("SELECT name FROM item WHERE id = ?");
        for (int n = 0; n < 10; n++) {
            select.setInt(1, n);
            ResultSet rows = select.executeQuery();
            rows.next();
            if (n == 9) step("prepared", rows.getString(1), select.unwrap(org.postgresql.PGStatement.class).isUseServerPrepare());
        }

        conn.setAutoCommit(false);
        Savepoint before = conn.setSavepoint("before");
        step("violated", failed(() -> statement.execute("INSERT INTO item VALUES (1)")));
        step("in a failed transaction", failed(() -> statement.execute("SELECT 1")));
        conn.rollback(before);
        Statement some = conn.createStatement();
        some.setFetchSize(100);
        ResultSet rows = some.executeQuery("SELECT id FROM item ORDER BY id");
        int count = 0;
        while (rows.next()) count++;
        step("fetched by portal", count);
        LargeObjectManager objects = conn.unwrap(PGConnection.class).getLargeObjectAPI();
        long made = objects.createLO(LargeObjectManager.READWRITE);
        var object = objects.open(made);
        object.write(new byte[100_000]);
        object.seek(0);
        step("large object", object.read(200_000).length);
        object.close();
        objects.unlink(made);
        conn.commit();
        conn.setAutoCommit(true);

        var copies = conn.unwrap(PGConnection.class).getCopyAPI();
        step("copied in", copies.copyIn("COPY item (id, name) FROM STDIN", new StringReader("2000\tx\n2001\ty\n")));
        var out = new ByteArrayOutputStream();
        step("copied out", copies.copyOut("COPY (SELECT id, name FROM item WHERE id >= 2000) TO STDOUT", out), out.size());

        Connection other = connect();
        other.createStatement().execute("LISTEN news");
        statement.execute("NOTIFY news, 'paper'");
        var heard = other.unwrap(PGConnection.class).getNotifications(10_000);
        step("notified", heard[0].getName(), heard[0].getParameter());
        Statement slow = other.createStatement();
        slow.setQueryTimeout(1);
        step("timed out", failed(() -> slow.execute("SELECT pg_sleep(30)")));
        step("goes on", value(other, "SELECT 1"));
        other.setReadOnly(true);
        other.setAutoCommit(false);
        step("read only", failed(() -> other.createStatement().execute("DELETE FROM by_jdbc.item")));
        other.close();

        CallableStatement call = conn.prepareCall("{? = call length(?)}");
        call.registerOutParameter(1, Types.INTEGER);
        call.setString(2, "four");
        call.execute();
        step("called", call.getInt(1));
        DatabaseMetaData meta = conn.getMetaData();
        ResultSet columns = meta.getColumns(null, "by_jdbc", "item", null);
        while (columns.next()) step("column", columns.getString(4), columns.getString(6));
        step("isolation", conn.getTransactionIsolation(), meta.getDatabaseProductName(), conn.isValid(5));
        statement.execute("DROP SCHEMA by_jdbc CASCADE");
        conn.close();
        System.out.println("done");
    }
}
