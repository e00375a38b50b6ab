// SPDX-License-Identifier: Apache-2.0
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import org.eclipse.californium.core.CoapClient;
import org.eclipse.californium.core.CoapHandler;
import org.eclipse.californium.core.CoapObserveRelation;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapResponse;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.CoAP;
import org.eclipse.californium.core.coap.OptionSet;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.network.Exchange;
import org.eclipse.californium.core.server.resources.CoapExchange;
import org.eclipse.californium.core.server.resources.Resource;
import org.eclipse.californium.elements.Connector;
import org.eclipse.californium.elements.config.CertificateAuthenticationMode;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.config.TcpConfig;
import org.eclipse.californium.elements.config.UdpConfig;
import org.eclipse.californium.elements.config.SystemConfig;
import org.eclipse.californium.elements.tcp.netty.TcpClientConnector;
import org.eclipse.californium.elements.tcp.netty.TcpServerConnector;
import org.eclipse.californium.elements.tcp.netty.TlsClientConnector;
import org.eclipse.californium.elements.tcp.netty.TlsServerConnector;
import org.eclipse.californium.elements.util.SslContextUtil;
import org.eclipse.californium.elements.util.StringUtil;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.pskstore.AdvancedMultiPskStore;
import org.eclipse.californium.scandium.dtls.pskstore.AdvancedSinglePskStore;
import org.eclipse.californium.scandium.dtls.x509.SingleCertificateProvider;
import org.eclipse.californium.scandium.dtls.x509.StaticNewAdvancedCertificateVerifier;

/**
 * A CoAP client and server by Eclipse Californium that the tests drive by lines on its standard input:
 *
 *   client NAME udp|tcp BLOCK · client NAME psk BLOCK IDENTITY KEY · client NAME x509|tls BLOCK CA PEM
 *   server udp|tcp PORT BLOCK · server psk PORT BLOCK IDENTITY KEY · server x509|tls PORT BLOCK CA PEM
 *   request ID CLIENT METHOD URI con|non CONTENT_FORMAT|- ACCEPT|- ETAG|- PAYLOAD|-
 *   observe ID CLIENT URI con|non · cancel ID (asks the server to) · forget ID (answers with RST from then on)
 *   set PATH CONTENT_FORMAT PAYLOAD · remove PATH · observers PATH
 *
 * Bytes are hexadecimal, PEM is a file with key and chain. What it says: `ready …`, `answer ID …`, `failed ID …`, `note ID …`,
 * `got …` for each request that the server took. Paths of the server that begin with /code/4.04[/MAX_AGE] answer that, /separate/…
 * by a response of its own, /silent/… not at all; all others hold what is put there.
 */
public final class CoapPeer {
    private static final Map<String, CoapEndpoint> CLIENTS = new HashMap<>();
    private static final Map<String, CoapObserveRelation> RELATIONS = new ConcurrentHashMap<>();
    private static final Stored ROOT = new Stored("");

    private CoapPeer() {
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? "" : StringUtil.byteArray2Hex(bytes) == null ? "" : StringUtil.byteArray2Hex(bytes);
    }

    private static byte[] bytes(String hex) {
        return hex.equals("-") ? new byte[0] : StringUtil.hex2ByteArray(hex);
    }

    private static String describe(CoAP.Type type, OptionSet options, byte[] payload) {
        StringBuilder said = new StringBuilder(" type=" + type + " payload=" + hex(payload));
        if (options.hasContentFormat()) {
            said.append(" content_format=").append(options.getContentFormat());
        }
        if (options.hasMaxAge()) {
            said.append(" max_age=").append(options.getMaxAge());
        }
        if (options.hasObserve()) {
            said.append(" observe=").append(options.getObserve());
        }
        if (options.getETagCount() > 0) {
            said.append(" etag=").append(hex(options.getETags().get(0)));
        }
        if (options.getLocationPathCount() > 0) {
            said.append(" location=").append(URLEncoder.encode(options.getLocationPathString(), StandardCharsets.UTF_8));
        }
        if (options.hasSize1()) {
            said.append(" size1=").append(options.getSize1());
        }
        return said.toString();
    }

    private static Configuration configuration(String block) {
        Configuration config = new Configuration();
        config.set(CoapConfig.PREFERRED_BLOCK_SIZE, Integer.parseInt(block));
        config.set(CoapConfig.MAX_MESSAGE_SIZE, Integer.parseInt(block));
        config.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, 4 << 20);
        config.set(CoapConfig.PROTOCOL_STAGE_THREAD_COUNT, 1);
        config.set(UdpConfig.UDP_RECEIVER_THREAD_COUNT, 1);
        config.set(UdpConfig.UDP_SENDER_THREAD_COUNT, 1);
        config.set(DtlsConfig.DTLS_CONNECTOR_THREAD_COUNT, 1);
        config.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
        config.set(TcpConfig.TCP_WORKER_THREADS, 1);
        config.set(TcpConfig.TLS_CLIENT_AUTHENTICATION_MODE, CertificateAuthenticationMode.NEEDED);
        config.set(SystemConfig.HEALTH_STATUS_INTERVAL, 0, TimeUnit.SECONDS);
        return config;
    }

    private static SSLContext tls(String[] words, int at) throws Exception {
        SslContextUtil.Credentials own = SslContextUtil.loadCredentials(words[at + 1]);
        return SslContextUtil.createSSLContext("peer", own.getPrivateKey(), own.getCertificateChain(),
                SslContextUtil.loadTrustedCertificates(words[at]));
    }

    /** words from `at` on: IDENTITY KEY or CA PEM. */
    private static Connector dtls(Configuration config, int port, String kind, String[] words, int at, boolean server)
            throws Exception {
        DtlsConnectorConfig.Builder builder = new DtlsConnectorConfig.Builder(config);
        builder.setAddress(new InetSocketAddress(server ? "127.0.0.1" : "0.0.0.0", port));
        builder.set(DtlsConfig.DTLS_ROLE, server ? DtlsConfig.DtlsRole.SERVER_ONLY : DtlsConfig.DtlsRole.CLIENT_ONLY);
        if (kind.equals("psk") && server) {
            AdvancedMultiPskStore store = new AdvancedMultiPskStore();
            store.setKey(words[at], bytes(words[at + 1]));
            builder.setAdvancedPskStore(store);
        } else if (kind.equals("psk")) {
            builder.setAdvancedPskStore(new AdvancedSinglePskStore(words[at], bytes(words[at + 1])));
        } else {
            SslContextUtil.Credentials own = SslContextUtil.loadCredentials(words[at + 1]);
            builder.setCertificateIdentityProvider(new SingleCertificateProvider(own.getPrivateKey(),
                    own.getCertificateChain()));
            builder.setAdvancedCertificateVerifier(StaticNewAdvancedCertificateVerifier.builder()
                    .setTrustedCertificates(SslContextUtil.loadTrustedCertificates(words[at])).build());
        }
        return new DTLSConnector(builder.build());
    }

    private static CoapEndpoint endpoint(String kind, int port, String block, String[] words, int at, boolean server)
            throws Exception {
        Configuration config = configuration(block);
        CoapEndpoint.Builder builder = new CoapEndpoint.Builder().setConfiguration(config);
        InetSocketAddress address = new InetSocketAddress("127.0.0.1", port);
        switch (kind) {
            case "udp":
                builder.setInetSocketAddress(server ? address : new InetSocketAddress(0));
                break;
            case "tcp":
                builder.setConnector(server ? new TcpServerConnector(address, config) : new TcpClientConnector(config));
                break;
            case "tls":
                builder.setConnector(server ? new TlsServerConnector(tls(words, at), address, config)
                        : new TlsClientConnector(tls(words, at), config));
                break;
            default:
                builder.setConnector(dtls(config, port, kind, words, at, server));
        }
        return builder.build();
    }

    private static void client(String[] words) throws Exception {
        CoapEndpoint endpoint = endpoint(words[2], 0, words[3], words, 4, false);
        endpoint.start();
        CLIENTS.put(words[1], endpoint);
        say("ready client " + words[1]);
    }

    private static void server(String[] words) throws Exception {
        int port = Integer.parseInt(words[2]);
        CoapServer server = new CoapServer(configuration(words[3])) {
            @Override
            protected Resource createRoot() {
                return ROOT;
            }
        };
        server.addEndpoint(endpoint(words[1], port, words[3], words, 4, true));
        server.start();
        say("ready server " + port);
    }

    /** What has come of a request or an observation. */
    private static final class Teller implements CoapHandler {
        private final String word, id;
        private final Request request;

        Teller(String word, String id, Request request) {
            this.word = word;
            this.id = id;
            this.request = request;
        }

        @Override
        public void onLoad(CoapResponse response) {
            Response told = response.advanced();
            say(word + " " + id + " code=" + told.getCode() + describe(told.getType(), told.getOptions(), told.getPayload()));
        }

        @Override
        public void onError() {
            Throwable error = request.getSendError();
            say("failed " + id + " " + (request.isRejected() ? "rejected" : request.isTimedOut() ? "timeout"
                    : String.valueOf(error)));
        }
    }

    private static CoapClient asking(String name) {
        return new CoapClient().setEndpoint(CLIENTS.get(name)).setTimeout(60000L);
    }

    private static void request(String[] words) {
        Request request = new Request(CoAP.Code.valueOf(words[3]),
                words[5].equals("non") ? CoAP.Type.NON : CoAP.Type.CON);
        request.setURI(words[4]);
        if (!words[6].equals("-")) {
            request.getOptions().setContentFormat(Integer.parseInt(words[6]));
        }
        if (!words[7].equals("-")) {
            request.getOptions().setAccept(Integer.parseInt(words[7]));
        }
        if (!words[8].equals("-")) {
            request.getOptions().addETag(bytes(words[8]));
        }
        if (!words[9].equals("-")) {
            request.setPayload(bytes(words[9]));
        }
        asking(words[2]).advanced(new Teller("answer", words[1], request), request);
    }

    private static void observe(String[] words) {
        Request request = new Request(CoAP.Code.GET, words[4].equals("non") ? CoAP.Type.NON : CoAP.Type.CON);
        request.setURI(words[3]);
        request.setObserve();
        RELATIONS.put(words[1], asking(words[2]).observe(request, new Teller("note", words[1], request)));
    }

    /** A resource for any path. */
    private static final class Stored extends CoapResource {
        private final Map<String, Stored> children = new ConcurrentHashMap<>();
        private volatile byte[] value;
        private volatile int format = -1;

        Stored(String name) {
            super(name);
            setObservable(true);
        }

        @Override
        public Resource getChild(String name) {
            return children.computeIfAbsent(name, given -> {
                Stored made = new Stored(given);
                made.setParent(this);
                made.setPath(getPath() + getName() + "/");
                return made;
            });
        }

        @Override
        public void handleRequest(Exchange exchange) {
            handle(new CoapExchange(exchange));
        }

        private void handle(CoapExchange exchange) {
            OptionSet options = exchange.getRequestOptions();
            say("got method=" + exchange.getRequestCode() + " path=/" + options.getUriPathString() + " query="
                    + URLEncoder.encode(options.getUriQueryString(), StandardCharsets.UTF_8) + " identity=" + identity(exchange)
                    + describe(exchange.advanced().getRequest().getType(), options, exchange.getRequestPayload()));
            List<String> path = options.getUriPath();
            String first = path.isEmpty() ? "" : path.get(0);
            if (first.equals("silent")) {
                return;
            }
            if (first.equals("separate")) {
                exchange.accept();
            }
            if (first.equals("code")) {
                if (path.size() > 2) {
                    exchange.setMaxAge(Long.parseLong(path.get(2)));
                }
                String[] code = path.get(1).split("\\.");
                exchange.respond(CoAP.ResponseCode.valueOf(Integer.parseInt(code[0]) << 5 | Integer.parseInt(code[1])));
                return;
            }
            act(exchange, options);
        }

        private static String identity(CoapExchange exchange) {
            java.security.Principal who = exchange.advanced().getRequest().getSourceContext().getPeerIdentity();
            return who == null ? "" : URLEncoder.encode(who.getName(), StandardCharsets.UTF_8);
        }

        private void act(CoapExchange exchange, OptionSet options) {
            switch (exchange.getRequestCode()) {
                case GET:
                    Response response = new Response(value == null ? CoAP.ResponseCode.NOT_FOUND : CoAP.ResponseCode.CONTENT);
                    if (value != null) {
                        response.setPayload(value);
                        response.getOptions().addETag(new byte[] {(byte) java.util.Arrays.hashCode(value)});
                        if (format >= 0) {
                            response.getOptions().setContentFormat(format);
                        }
                    }
                    exchange.respond(response);
                    break;
                case DELETE:
                    set(null, -1);
                    exchange.respond(CoAP.ResponseCode.DELETED);
                    break;
                case POST:
                    exchange.respond(CoAP.ResponseCode.CHANGED, "posted " + exchange.getRequestPayloadSize(), 0);
                    break;
                default:
                    boolean created = value == null;
                    set(exchange.getRequestPayload(), options.hasContentFormat() ? options.getContentFormat() : -1);
                    exchange.respond(created ? CoAP.ResponseCode.CREATED : CoAP.ResponseCode.CHANGED);
            }
        }

        void set(byte[] wanted, int contentFormat) {
            value = wanted;
            format = contentFormat;
            if (wanted == null) {
                clearAndNotifyObserveRelations(CoAP.ResponseCode.NOT_FOUND);
            } else {
                changed();
            }
        }
    }

    private static Stored stored(String path) {
        Stored at = ROOT;
        for (String name : path.substring(1).split("/")) {
            at = (Stored) at.getChild(name);
        }
        return at;
    }

    private static void obey(String[] words) throws Exception {
        switch (words[0]) {
            case "client": client(words); break;
            case "server": server(words); break;
            case "request": request(words); break;
            case "observe": observe(words); break;
            case "cancel": RELATIONS.remove(words[1]).proactiveCancel(); break;
            case "forget": RELATIONS.remove(words[1]).reactiveCancel(); break;
            case "set": stored(words[1]).set(bytes(words[3]), Integer.parseInt(words[2])); break;
            case "remove": stored(words[1]).set(null, -1); break;
            case "observers": say("observers " + words[1] + " " + stored(words[1]).getObserverCount()); break;
            default: throw new IllegalArgumentException(words[0]);
        }
    }

    public static void main(String[] arguments) throws Exception {
        CoapConfig.register();
        DtlsConfig.register();
        TcpConfig.register();
        UdpConfig.register();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        say("ready peer");
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            try {
                obey(line.split(" "));
            } catch (Exception error) {
                say("error " + line + ": " + error);
            }
        }
        System.exit(0);
    }
}
