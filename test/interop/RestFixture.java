import java.net.InetSocketAddress;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.CatalogUtil;
import org.apache.iceberg.rest.RESTCatalogAdapter;
import org.apache.iceberg.rest.RESTCatalogServlet;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

/**
 * Iceberg's REST catalog on a free port of 127.0.0.1 (its own main class binds every interface). Ends with its input.
 * Arguments: URL of the warehouse, path of the database file.
 */
public class RestFixture {
  public static void main(String[] args) throws Exception {
    Map<String, String> properties =
        Map.of(
            "catalog-impl", "org.apache.iceberg.jdbc.JdbcCatalog",
            "uri", "jdbc:sqlite:" + args[1],
            "jdbc.schema-version", "V1",
            "clients", "1",
            "warehouse", args[0]);
    var catalog = CatalogUtil.buildIcebergCatalog("fixture", properties, new Configuration());
    var context = new ServletContextHandler(ServletContextHandler.NO_SESSIONS);
    context.addServlet(new ServletHolder(new RESTCatalogServlet(new RESTCatalogAdapter(catalog))), "/*");
    var server = new Server(new InetSocketAddress("127.0.0.1", 0));
    server.setHandler(context);
    server.start();
    System.out.println("listening " + server.getURI().getPort());
    while (System.in.read() >= 0) {}
    server.stop();
    System.exit(0);
  }
}
