import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** Fetches BASE/PATH into FOLDER for each PATH on standard input. Who called checks the bytes. */
public class Fetch {
    private static final int TRIES = 4;

    public static void main(String[] arguments) throws Exception {
        String base = arguments[0];
        Path folder = Path.of(arguments[1]);
        HttpClient client = HttpClient.newBuilder()
            .followRedirects(HttpClient.Redirect.NORMAL)
            .connectTimeout(Duration.ofSeconds(30))
            .build();
        BufferedReader paths = new BufferedReader(new InputStreamReader(System.in));
        for (String path = paths.readLine(); path != null; path = paths.readLine()) {
            Path file = folder.resolve(path.substring(path.lastIndexOf('/') + 1));
            fetch(client, URI.create(base + "/" + path), file);
        }
    }

    private static void fetch(HttpClient client, URI from, Path file) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(from).timeout(Duration.ofMinutes(10)).build();
        for (int tries = TRIES;; tries--) {
            try {
                HttpResponse<Path> answer =
                    client.send(request, HttpResponse.BodyHandlers.ofFile(file));
                if (answer.statusCode() == 200) {
                    return;
                }
                Files.deleteIfExists(file);
                throw new IOException("status " + answer.statusCode());
            } catch (IOException error) {
                if (tries == 1) {
                    System.err.println(from + ": " + error);
                    System.exit(1);
                }
            }
            Thread.sleep(1000L);
        }
    }
}
