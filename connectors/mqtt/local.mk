# SPDX-License-Identifier: Apache-2.0
# The codec.
liblinkspan_a_SOURCES += \
	connectors/mqtt/codec.c \
	connectors/mqtt/codec.h \
	connectors/mqtt/codec_decode.c \
	connectors/mqtt/codec_encode.c \
	connectors/mqtt/codec_internal.h \
	connectors/mqtt/codec_measure.c \
	connectors/mqtt/codec_properties.c \
	connectors/mqtt/codec_reasons.c \
	connectors/mqtt/codec_text.c

# The connector.
liblinkspan_a_SOURCES += \
	connectors/mqtt/addresses.c \
	connectors/mqtt/addresses.h \
	connectors/mqtt/convert.c \
	connectors/mqtt/convert.h \
	connectors/mqtt/credentials.c \
	connectors/mqtt/credentials.h \
	connectors/mqtt/engine.c \
	connectors/mqtt/engine.h \
	connectors/mqtt/engine_alive.c \
	connectors/mqtt/engine_connect.c \
	connectors/mqtt/engine_input.c \
	connectors/mqtt/engine_subscribe.c \
	connectors/mqtt/from.c \
	connectors/mqtt/from.h \
	connectors/mqtt/mqtt.c \
	connectors/mqtt/mqtt.h \
	connectors/mqtt/qos2_in.c \
	connectors/mqtt/qos2_in.h \
	connectors/mqtt/qos2_out.c \
	connectors/mqtt/qos2_out.h \
	connectors/mqtt/proxy.c \
	connectors/mqtt/proxy.h \
	connectors/mqtt/reconnect.c \
	connectors/mqtt/reconnect.h \
	connectors/mqtt/session.c \
	connectors/mqtt/session.h \
	connectors/mqtt/settings.c \
	connectors/mqtt/settings.h \
	connectors/mqtt/sink.c \
	connectors/mqtt/sink.h \
	connectors/mqtt/source.c \
	connectors/mqtt/subscription_map.c \
	connectors/mqtt/subscription_map.h \
	connectors/mqtt/source.h \
	connectors/mqtt/filter_set.c \
	connectors/mqtt/filter_set.h \
	connectors/mqtt/tls.c \
	connectors/mqtt/tls.h \
	connectors/mqtt/topic_alias.c \
	connectors/mqtt/topic_alias.h \
	connectors/mqtt/transport.c \
	connectors/mqtt/transport.h \
	connectors/mqtt/url.c \
	connectors/mqtt/url.h

# The second client.
paho_sources = \
	connectors/mqtt/paho.c \
	connectors/mqtt/paho.h \
	connectors/mqtt/paho_callbacks.c \
	connectors/mqtt/paho_connection.c \
	connectors/mqtt/paho_convert.c \
	connectors/mqtt/paho_convert.h \
	connectors/mqtt/paho_flow.c \
	connectors/mqtt/paho_subscribe.c \
	connectors/mqtt/paho_thread.c \
	connectors/mqtt/relay.c \
	connectors/mqtt/relay.h
if HAVE_PAHO
liblinkspan_a_SOURCES += $(paho_sources)
endif
EXTRA_DIST += $(paho_sources)
nobase_dist_doc_DATA += connectors/mqtt/README.md
