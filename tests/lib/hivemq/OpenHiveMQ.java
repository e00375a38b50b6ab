// SPDX-License-Identifier: Apache-2.0
import com.hivemq.HiveMQServer;
import com.hivemq.configuration.service.InternalConfigurations;

/**
 * HiveMQ Community Edition for tests: it lets everybody in, which it otherwise does only by an extension, and is small
 * and quick to stop. Everything else is as it comes; folders by -Dhivemq.home.
 */
public final class OpenHiveMQ {
    private OpenHiveMQ() {
    }

    public static void main(String[] arguments) throws Exception {
        InternalConfigurations.AUTH_DENY_UNAUTHENTICATED_CONNECTIONS.set(false);
        InternalConfigurations.PERSISTENCE_BUCKET_COUNT.set(4);
        InternalConfigurations.PAYLOAD_PERSISTENCE_BUCKET_COUNT.set(4);
        InternalConfigurations.PERSISTENCE_SHUTDOWN_GRACE_PERIOD_MSEC.set(100);
        HiveMQServer.main(arguments);
    }
}
