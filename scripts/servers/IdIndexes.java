import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.h2.H2Database;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.backend.memory.MemoryDatabase;
import de.bwaldvogel.mongo.bson.Document;
import java.util.List;
import org.h2.mvstore.MVStore;

/**
 * Backends that answer a query which names an {@code _id} among other conditions from the index on {@code _id}, as
 * MongoDB does. On its own the server uses an index only where a query names its keys and nothing else; it looks at the
 * other conditions afterwards in either case.
 */
final class IdIndexes {
  private IdIndexes() {}

  static MemoryBackend inMemory() {
    return new MemoryBackend() {
      @Override
      public MemoryDatabase openOrCreateDatabase(String name) {
        return new MemoryDatabase(name, getCursorRegistry()) {
          @Override
          protected Index<Integer> openOrCreateUniqueIndex(
              String collection, String index, List<IndexKey> keys, boolean sparse) {
            return wrap(super.openOrCreateUniqueIndex(collection, index, keys, sparse), sparse);
          }
        };
      }
    };
  }

  static H2Backend inFile(MVStore store) {
    return new H2Backend(store) {
      @Override
      protected MongoDatabase openOrCreateDatabase(String name) {
        return new H2Database(name, getMvStore(), getCursorRegistry()) {
          @Override
          protected Index<Object> openOrCreateUniqueIndex(
              String collection, String index, List<IndexKey> keys, boolean sparse) {
            return wrap(super.openOrCreateUniqueIndex(collection, index, keys, sparse), sparse);
          }
        };
      }
    };
  }

  private static <P> Index<P> wrap(Index<P> index, boolean sparse) {
    List<IndexKey> keys = index.getKeys();
    boolean isOfIds = keys.size() == 1 && keys.get(0).getKey().equals("_id");
    return isOfIds ? new IdIndex<>(index, sparse) : index;
  }

  /** The index on {@code _id}, which looks at a query's {@code _id} alone. */
  private static final class IdIndex<P> extends Index<P> {
    private final Index<P> index;

    IdIndex(Index<P> index, boolean sparse) {
      super(index.getName(), index.getKeys(), sparse);
      this.index = index;
    }

    private static Document idOf(Document query) {
      return query.size() > 1 && query.containsKey("_id") ? new Document("_id", query.get("_id")) : query;
    }

    @Override
    public boolean canHandle(Document query) {
      return index.canHandle(idOf(query));
    }

    @Override
    public Iterable<P> getPositions(Document query) {
      return index.getPositions(idOf(query));
    }

    @Override
    public P getPosition(Document document) {
      return index.getPosition(document);
    }

    @Override
    public void checkAdd(Document document, MongoCollection<P> collection) {
      index.checkAdd(document, collection);
    }

    @Override
    public void add(Document document, P position, MongoCollection<P> collection) {
      index.add(document, position, collection);
    }

    @Override
    public P remove(Document document) {
      return index.remove(document);
    }

    @Override
    public void checkUpdate(Document before, Document after, MongoCollection<P> collection) {
      index.checkUpdate(before, after, collection);
    }

    @Override
    public void updateInPlace(Document before, Document after, P position, MongoCollection<P> collection) {
      index.updateInPlace(before, after, position, collection);
    }

    @Override
    public long getCount() {
      return index.getCount();
    }

    @Override
    public long getDataSize() {
      return index.getDataSize();
    }

    @Override
    public boolean isUnique() {
      return index.isUnique();
    }

    @Override
    public void drop() {
      index.drop();
    }
  }
}
