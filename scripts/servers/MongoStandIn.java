import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import io.netty.channel.Channel;
import java.io.FileInputStream;
import java.io.InputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import org.h2.mvstore.MVStore;

/**
 * Runs mongo-java-server so that a driver takes it for the primary of a replica set, on 127.0.0.1 alone.
 *
 * <p>{@code MongoStandIn memory|h2 PORT [FILE]}, with the system properties {@code rs} (the replica set's name; absent:
 * a single server), {@code tls.cert} (PEM) and {@code tls.key} (PKCS 8, DER). It prints {@code ready PORT} once it listens.
 *
 * <p>What it adds: {@code hello} with the wire version that drivers ask for; error codes where the server has none; with
 * {@code h2} a commit to the file before a write is acknowledged, and no commit in the middle of one; and a refusal of what the server would accept and then
 * silently get wrong (transactions, updates by pipelines, unique partial indexes). Majority, journal and retryable writes
 * mean nothing here: it shows that commands, documents and error paths work over the wire, not what a replica set does.
 */
public class MongoStandIn {
  private static final Set<String> WRITES =
      Set.of("insert", "update", "delete", "findAndModify", "findandmodify", "createIndexes", "create", "drop",
          "dropDatabase", "dropIndexes", "renameCollection", "aggregate");
  private static final int WIRE_VERSION = 13;

  private final MongoBackend backend;
  /** Commits before writes are acknowledged; null: nothing is kept. */
  private final H2Backend file;
  private final String replicaSet = System.getProperty("rs");
  private final int port;

  private MongoStandIn(String kind, int port, String path) {
    this.port = port;
    backend = kind.equals("h2") ? IdIndexes.inFile(open(path)) : IdIndexes.inMemory();
    file = backend instanceof H2Backend ? (H2Backend) backend : null;
    backend.version(new MongoVersion() {
      @Override
      public List<Integer> getVersionArray() {
        return List.of(5, 0, 0);
      }

      @Override
      public int getWireVersion() {
        return WIRE_VERSION;
      }
    });
  }

  public static void main(String[] args) {
    try {
      int port = Integer.parseInt(args[1]);
      new MongoStandIn(args[0], port, args.length > 2 ? args[2] : null).listen();
    } catch (Throwable e) {
      e.printStackTrace();
      System.exit(1);
    }
  }

  /**
   * Without commits of its own: the server writes a document and its entry in the index one after the other, and a commit
   * between the two would outlive a crash as a document that nobody finds and nobody can insert.
   */
  private static MVStore open(String path) {
    return new MVStore.Builder().fileName(path).autoCommitDisabled().autoCommitBufferSize(0).open();
  }

  private void listen() throws Exception {
    Class<?>[] interfaces = {MongoBackend.class};
    MongoBackend shim =
        (MongoBackend) Proxy.newProxyInstance(MongoStandIn.class.getClassLoader(), interfaces, this::handle);
    MongoServer server = new MongoServer(shim);
    if (System.getProperty("tls.key") != null) {
      enableTls(server);
    }
    server.bind("127.0.0.1", port);
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    System.out.println("ready " + port);
    System.out.flush();
  }

  private static void enableTls(MongoServer server) throws Exception {
    byte[] encoded = Files.readAllBytes(Path.of(System.getProperty("tls.key")));
    PrivateKey key = KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(encoded));
    try (InputStream in = new FileInputStream(System.getProperty("tls.cert"))) {
      server.enableSsl(key, null, (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in));
    }
  }

  /** Every call of the server to its backend. */
  private Object handle(Object proxy, Method method, Object[] args) throws Throwable {
    Document query = query(method, args);
    String command = query == null ? "" : query.keySet().iterator().next();
    if (query != null) {
      Document refusal = refusal(command, query);
      if (refusal != null) {
        return refusal;
      }
      if (command.equals("hello") || command.equalsIgnoreCase("ismaster")) {
        return hello(method, args, command);
      }
    }
    try {
      if (file == null || !WRITES.contains(command)) {
        return method.invoke(backend, args);
      }
      synchronized (file) { // so that no other write is half done when this one is committed
        try {
          return method.invoke(backend, args);
        } finally {
          file.commit(); // to the operating system, so that it survives this process
        }
      }
    } catch (InvocationTargetException e) {
      return failure(command, query != null, e.getCause());
    }
  }

  private static Document query(Method method, Object[] args) {
    switch (method.getName()) {
      case "handleMessage":
        return ((MongoMessage) args[0]).getDocument();
      case "handleCommand":
        return (Document) args[3];
      default:
        return null;
    }
  }

  /** As the primary of a replica set of one says it. */
  private Document hello(Method method, Object[] args, String command) throws Throwable {
    Document reply;
    if (command.equals("hello")) {
      Document old = new Document("ismaster", 1);
      old.put("$db", "admin");
      boolean isCommand = method.getName().equals("handleCommand");
      Channel channel = isCommand ? (Channel) args[0] : ((MongoMessage) args[0]).getChannel();
      reply = backend.handleCommand(channel, "admin", "ismaster", old);
      reply.put("isWritablePrimary", true);
    } else {
      reply = (Document) method.invoke(backend, args);
    }
    if (replicaSet != null) {
      String me = "127.0.0.1:" + port;
      reply.put("setName", replicaSet);
      reply.put("setVersion", 1);
      reply.put("hosts", List.of(me));
      reply.put("me", me);
      reply.put("primary", me);
      reply.put("secondary", false);
      reply.put("logicalSessionTimeoutMinutes", 30);
    }
    return reply;
  }

  private static Document failure(String command, boolean isCommand, Throwable cause) throws Throwable {
    if (!isCommand || (cause instanceof MongoServerError && ((MongoServerError) cause).getCode() != 0)) {
      throw cause;
    }
    if (command.equals("drop") && "ns not found".equals(cause.getMessage())) {
      return new Document("ok", 1.0); // as MongoDB 7 has it
    }
    return error(8, "UnknownError", String.valueOf(cause)); // drivers cannot read an error without a code
  }

  private static Document refusal(String command, Document query) {
    if (Boolean.TRUE.equals(query.get("startTransaction")) || Boolean.FALSE.equals(query.get("autocommit"))) {
      return error(20, "IllegalOperation", "transactions are not supported");
    }
    if (command.equals("createIndexes")) {
      for (Object index : (Collection<?>) query.get("indexes")) {
        Document options = (Document) index;
        if (options.containsKey("partialFilterExpression") && Boolean.TRUE.equals(options.get("unique"))) {
          return error(67, "CannotCreateIndex", "unique partial indexes are not supported");
        }
      }
    }
    boolean hasPipeline = command.equalsIgnoreCase("findandmodify") && query.get("update") instanceof Collection;
    if (command.equals("update")) {
      for (Object statement : (Collection<?>) query.getOrDefault("updates", List.of())) {
        hasPipeline |= ((Document) statement).get("u") instanceof Collection;
      }
    }
    return hasPipeline ? error(238, "NotImplemented", "updates by pipelines are not supported") : null;
  }

  private static Document error(int code, String name, String message) {
    Document error = new Document("ok", 0.0);
    error.put("errmsg", "MongoStandIn: " + message);
    error.put("code", code);
    error.put("codeName", name);
    return error;
  }
}
