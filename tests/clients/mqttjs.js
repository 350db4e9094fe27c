// Shows with MQTT.js what README.md lists: mqttjs.js PORT VERSION.
const assert = require('assert');
const crypto = require('crypto');
const fs = require('fs');
const mqtt = require('mqtt');
const path = require('path');

const [port, version] = process.argv.slice(2).map(Number);
const transport = process.env.TRANSPORT;
const url = `${{ tcp: 'mqtt', tls: 'mqtts', ws: 'ws', wss: 'wss' }[transport]}://127.0.0.1:${port}`;
const ca = transport === 'tls' || transport === 'wss' ? fs.readFileSync(process.env.CAFILE) : undefined;
const DEADLINE_MS = 60000;
const MESSAGES = 20;
const LARGE = 1000000;
// The broker's longest keep alive is 4 s, and it waits half as long again.
const KEEP_ALIVE = 4;
const QUIET_MS = 7000;

const shown = (row) => console.log('shown', row);
const name = (rest) => `mqttjs/${version}/${transport}/${rest}`;
const numbers = [...Array(MESSAGES).keys()].map(String);

function soon(what, promise) {
	let timer;
	const late = new Promise((_, fail) => {
		timer = setTimeout(() => fail(new Error(`no ${what}`)), DEADLINE_MS);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// A first come, first served queue: what comes before it is asked for waits.
class Queue {
	constructor() {
		this.held = [];
		this.waiting = [];
	}

	put(v) {
		const next = this.waiting.shift();
		if (next) next(v);
		else this.held.push(v);
	}

	get(what) {
		return soon(what, this.held.length ? Promise.resolve(this.held.shift()) : new Promise((done) => this.waiting.push(done)));
	}
}

class Client {
	// Listens from the start: messages may come right behind CONNACK.
	constructor(role, { resume = false, expiry, aliases, exchange, where = url, ...options } = {}) {
		const properties = {};
		this.kept = resume;
		if (expiry !== undefined) properties.sessionExpiryInterval = expiry;
		if (aliases !== undefined) properties.topicAliasMaximum = aliases;
		if (exchange) {
			properties.authenticationMethod = exchange.method;
			properties.authenticationData = exchange.first();
		}
		this.got = new Queue();
		this.acks = new Queue();
		this.ends = new Queue();
		this.c = mqtt.connect(where, {
			ca,
			clientId: `mqttjs-${version}-${transport}-${role}`,
			protocolVersion: version,
			reconnectPeriod: 0,
			keepalive: KEEP_ALIVE,
			clean: !resume,
			properties: version === 5 ? properties : undefined,
			...options,
		});
		if (exchange) {
			this.c.handleAuth = (packet, done) => done(undefined, {
				cmd: 'auth',
				reasonCode: 24,
				properties: {
					authenticationMethod: exchange.method,
					authenticationData: exchange.second(packet.properties.authenticationData),
				},
			});
		}
		this.connected = new Promise((done, fail) => {
			this.c.on('connect', done);
			this.c.on('error', fail);
		});
		this.closed = new Promise((done) => this.c.on('close', done));
		this.c.on('disconnect', (packet) => this.ends.put(packet));
		this.c.on('packetreceive', (packet) => {
			if (packet.cmd === 'puback' || packet.cmd === 'suback') this.acks.put(packet);
		});
		this.c.on('message', (topic, payload, packet) => this.got.put({ topic, payload, packet }));
	}

	subscribe(filter, qos, properties) {
		return soon('SUBACK', this.c.subscribeAsync(filter, { qos, properties }));
	}

	publish(topic, payload, qos, options = {}) {
		return soon('acknowledgement', this.c.publishAsync(topic, payload, { qos, ...options }));
	}

	// What was on its way when a client left comes again in its session.
	async expect(topic, text, qos = 1, retain = false) {
		const m = await this.got.get('message');
		assert.deepStrictEqual(
			[m.topic, m.payload.toString(), m.packet.qos, m.packet.retain, m.packet.dup && !this.kept],
			[topic, text, qos, retain, false]);
		return m.packet.properties;
	}

	leave(how = {}) {
		return soon('end', this.c.endAsync(false, how));
	}
}

async function connect(role, options) {
	const client = new Client(role, options);
	client.ack = await soon('CONNACK', client.connected);
	return client;
}

async function showQos(pub) {
	const sub = await connect('qos');
	assert.strictEqual(sub.ack.sessionPresent, false);
	for (let qos = 0; qos < 3; qos++) {
		const topic = name(`qos${qos}`);
		assert.strictEqual((await sub.subscribe(topic, qos))[0].qos, qos);
		for (const n of numbers) await pub.publish(topic, n, qos);
		for (const n of numbers) await sub.expect(topic, n, qos);
		shown(`qos${qos}`);
	}
	await sub.leave();
	shown('connect');
}

async function showFilters(pub) {
	const sub = await connect('filters');
	await sub.subscribe(name('f/+/c'), 1);
	await sub.subscribe(name('g/#'), 1);
	await pub.publish(name('f/b/d'), 'no', 1);
	await pub.publish(name('f/b/b/c'), 'no', 1);
	for (const rest of ['f/b/c', 'g', 'g/x/y']) {
		await pub.publish(name(rest), rest, 1);
		await sub.expect(name(rest), rest);
	}
	shown('wildcards');

	await soon('UNSUBACK', sub.c.unsubscribeAsync(name('g/#')));
	await pub.publish(name('g/x/y'), 'no', 1);
	await pub.publish(name('f/b/c'), 'after', 1);
	await sub.expect(name('f/b/c'), 'after');
	await sub.leave();
	shown('unsubscribe');
}

async function showRetained(pub) {
	const sub = await connect('retained');
	const topic = name('kept');
	await pub.publish(topic, 'kept', 1, { retain: true });
	await sub.subscribe(topic, 1);
	await sub.expect(topic, 'kept', 1, true);
	await pub.publish(topic, '', 1, { retain: true });
	await sub.expect(topic, '');
	await sub.subscribe(topic, 1); // again: it would come now
	await pub.publish(topic, 'plain', 1);
	await sub.expect(topic, 'plain');
	await sub.leave();
	shown('retained');
}

async function showWill() {
	const sub = await connect('heir');
	await sub.subscribe(name('will'), 1);
	const victim = await connect('victim', { will: { topic: name('will'), payload: 'gone', qos: 1 } });
	victim.c.stream.destroy(); // without DISCONNECT
	await sub.expect(name('will'), 'gone');
	await sub.leave();
	shown('will');
}

async function showTakeover() {
	const older = await connect('same');
	const newer = await connect('same');
	await soon('end', older.closed);
	shown('takeover');
	if (version === 5) {
		assert.strictEqual((await older.ends.get('DISCONNECT')).reasonCode, 0x8e);
		shown('takeover-reason');
	}
	await newer.leave();
}

async function showResume(pub) {
	const kept = { resume: true, expiry: 1000 };
	const qos = (n) => (n < MESSAGES / 2 ? 1 : 2);
	let c = await connect('keeper', kept);
	assert.strictEqual(c.ack.sessionPresent, false);
	await c.subscribe(name('queue'), 2);
	await c.leave();
	for (const n of numbers) await pub.publish(name('queue'), n, qos(n));
	c = await connect('keeper', kept);
	assert.strictEqual(c.ack.sessionPresent, true);
	for (const n of numbers) await c.expect(name('queue'), n, qos(n));
	await c.leave();
	c = await connect('keeper');
	assert.strictEqual(c.ack.sessionPresent, false);
	await c.leave();
	shown('resume');
}

async function showShared(pub) {
	const members = [await connect('member0'), await connect('member1')];
	for (const c of members) {
		await c.subscribe(`$share/g/${name('shared')}`, 1);
		await c.subscribe(name('end'), 1);
	}
	for (const n of numbers) await pub.publish(name('shared'), n, 1);
	await pub.publish(name('end'), 'end', 1);
	const seen = [];
	for (const c of members) {
		const before = seen.length;
		for (;;) {
			const text = (await c.got.get('message')).payload.toString();
			if (text === 'end') break;
			seen.push(text);
		}
		assert.ok(seen.length > before);
		await c.leave();
	}
	assert.deepStrictEqual(seen.sort((a, b) => a - b), numbers);
	shown('shared');
}

async function showLarge(pub) {
	const sub = await connect('large');
	const payload = Buffer.alloc(LARGE);
	for (let i = 0; i < LARGE; i++) payload[i] = i * 31 + Math.floor(i / 257);
	await sub.subscribe(name('large'), 1);
	await pub.publish(name('large'), payload, 1);
	assert.ok((await sub.got.get('message')).payload.equals(payload));
	await sub.leave();
	shown('large');
}

async function showRefused(pub) {
	const c = new Client('', { clientId: 'x'.repeat(300) });
	const ack = soon('CONNACK', new Promise((done) => {
		c.c.on('packetreceive', done);
	}));
	await assert.rejects(soon('refusal', c.connected), (e) => e.code === (version === 5 ? 0x85 : 2));
	if (version === 5) {
		assert.strictEqual((await ack).properties.reasonString, 'client identifier longer than max_client_id');
		shown('reason-string');
	}

	while (pub.acks.held.length) pub.acks.held.shift();
	await pub.subscribe('/'.repeat(300), 1).catch(() => {}); // more levels than max_topic_levels
	assert.deepStrictEqual([...(await pub.acks.get('SUBACK')).granted], [version === 5 ? 0x8f : 0x80]);
	if (version === 5) {
		await pub.publish(name('nobody'), '?', 1);
		assert.strictEqual((await pub.acks.get('PUBACK')).reasonCode, 0x10);
	}
	shown('refused');
}

async function showProperties(pub) {
	const sub = await connect('properties');
	const sent = {
		payloadFormatIndicator: true,
		contentType: 'text/plain',
		responseTopic: 'answer/here',
		correlationData: Buffer.from([1, 0, 255]),
		userProperties: { a: ['1', '3'], b: '2' },
	};
	await sub.subscribe(name('properties'), 2);
	for (let qos = 0; qos < 3; qos++) {
		await pub.publish(name('properties'), 'x', qos, { properties: sent });
		const got = await sub.expect(name('properties'), 'x', qos);
		assert.deepStrictEqual({ ...got, userProperties: { ...got.userProperties } }, sent);
	}
	await sub.leave();
	shown('properties');
}

async function showSubscriptionId(pub) {
	const sub = await connect('ids');
	await sub.subscribe(name('id/#'), 1, { subscriptionIdentifier: 7 });
	await sub.subscribe(name('id/2'), 1, { subscriptionIdentifier: 268435455 });
	await pub.publish(name('id/1'), 'one', 1);
	assert.strictEqual((await sub.expect(name('id/1'), 'one')).subscriptionIdentifier, 7);
	// Of two that overlap both are named, in one message or in two.
	await pub.publish(name('id/2'), 'two', 1);
	let ids = [(await sub.expect(name('id/2'), 'two')).subscriptionIdentifier].flat();
	if (ids.length === 1) ids = ids.concat((await sub.expect(name('id/2'), 'two')).subscriptionIdentifier);
	assert.deepStrictEqual(ids.sort((a, b) => a - b), [7, 268435455]);
	await sub.leave();
	shown('subscription-id');
}

async function showAliases() {
	const pub = await connect('aliases');
	const sub = await connect('aliased', { aliases: 4 });
	await sub.subscribe(name('alias'), 1);
	for (let n = 0; n < 3; n++) {
		await pub.publish(n === 0 ? name('alias') : '', `${n}`, 1, { properties: { topicAlias: 2 } });
		assert.strictEqual((await sub.expect(name('alias'), `${n}`)).topicAlias, 1);
	}
	await pub.leave();
	await sub.leave();
	shown('alias-out');
	shown('alias-in');
}

async function showAssignedId() {
	const c = await connect('', { clientId: '' });
	assert.ok(c.ack.properties.assignedClientIdentifier);
	await c.leave();
	shown('assigned-id');
}

async function showCertificate() {
	const where = url.replace(/\d+$/, process.env[`MUTUAL_${transport.toUpperCase()}_PORT`]);
	const pair = (who) => ({
		where,
		cert: fs.readFileSync(`${path.dirname(process.env.CAFILE)}/${who}.crt`),
		key: fs.readFileSync(`${path.dirname(process.env.CAFILE)}/${who}.key`),
	});
	const c = await connect('certified', pair('alice'));
	await c.publish(name('certified'), 'x', 1);
	await c.leave();
	for (const who of ['', 'stranger', 'revoked', 'expired', 'self']) {
		const wrong = new Client('uncertified', who ? pair(who) : { where });
		// An error of TLS, or the end of the connection: in TLS 1.3 the client learns it when it reads.
		const how = await soon('refusal', Promise.race([
			wrong.connected.then(() => 'in', () => 'out'),
			wrong.closed.then(() => 'out')]));
		assert.strictEqual(how, 'out', who);
	}
	shown('tls-certificate');
}

// The client's side of SCRAM (RFC 5802), for which MQTT.js has the packets only.
class Scram {
	constructor(hash, password) {
		this.hash = hash;
		this.method = { sha256: 'SCRAM-SHA-256', sha512: 'SCRAM-SHA-512' }[hash];
		this.password = password;
	}

	hmac(key, text) {
		return crypto.createHmac(this.hash, key).update(text).digest();
	}

	first() {
		this.own = `n=${process.env.SCRAM_USER},r=${crypto.randomBytes(18).toString('base64')}`;
		return Buffer.from(`n,,${this.own}`);
	}

	second(data) {
		const said = data.toString();
		const [, nonce, salt, iterations] = said.match(/^r=([^,]+),s=([^,]+),i=(\d+)$/);
		const length = crypto.createHash(this.hash).digest().length;
		const salted = crypto.pbkdf2Sync(this.password, Buffer.from(salt, 'base64'), Number(iterations), length, this.hash);
		const key = this.hmac(salted, 'Client Key');
		const last = `c=biws,r=${nonce}`;
		const all = `${this.own},${said},${last}`;
		const signature = this.hmac(crypto.createHash(this.hash).update(key).digest(), all);
		this.expected = `v=${this.hmac(this.hmac(salted, 'Server Key'), all).toString('base64')}`;
		return Buffer.from(`${last},p=${Buffer.from(key.map((b, i) => b ^ signature[i])).toString('base64')}`);
	}
}

async function showEnhancedAuth() {
	for (const hash of ['sha256', 'sha512']) {
		const exchange = new Scram(hash, process.env.SCRAM_PASSWORD);
		const c = await connect('known', { exchange });
		assert.strictEqual(c.ack.properties.authenticationData.toString(), exchange.expected);
		await c.publish(name('known'), 'x', 1);
		await c.leave();
		const wrong = new Client('unknown', { exchange: new Scram(hash, 'guessed') });
		await assert.rejects(soon('refusal', wrong.connected), (e) => e.code === 0x86 || e.code === 0x87);
	}
	shown('enhanced-auth');
}

// What takes time begins before the rest and ends after it.
async function slowStart(pub) {
	const quiet = await connect('quiet', { keepalive: version === 5 ? 60 : KEEP_ALIVE });
	await quiet.subscribe(name('quiet'), 1);
	if (version === 5) {
		assert.strictEqual(quiet.ack.properties.serverKeepAlive, KEEP_ALIVE);
		await (await connect('brief', { resume: true, expiry: 1 })).leave();
		// Its will tells when it is away for the broker too: what it has begun to deliver doesn't expire.
		const c = await connect('away', { resume: true, expiry: 1000, will: { topic: name('left'), payload: 'gone', qos: 1 } });
		await c.subscribe(name('away'), 1);
		await quiet.subscribe(name('left'), 1);
		await c.leave({ reasonCode: 4 });
		await quiet.expect(name('left'), 'gone');
		for (const expiry of [1, 1000])
			await pub.publish(name('away'), `${expiry}`, 1, { properties: { messageExpiryInterval: expiry } });
	}
	return { quiet, since: Date.now() };
}

async function slowEnd({ quiet, since }, pub) {
	await new Promise((done) => setTimeout(done, since + QUIET_MS - Date.now()));
	await pub.publish(name('quiet'), 'still here', 1);
	await quiet.expect(name('quiet'), 'still here');
	await quiet.leave();
	shown('keepalive');
	if (version !== 5) return;
	shown('server-keepalive');

	let c = await connect('brief', { resume: true, expiry: 1 });
	assert.strictEqual(c.ack.sessionPresent, false);
	await c.leave();
	shown('session-expiry');

	c = await connect('away', { resume: true, expiry: 1000 });
	assert.strictEqual(c.ack.sessionPresent, true);
	const left = (await c.expect(name('away'), '1000')).messageExpiryInterval;
	assert.ok(left > 0 && left <= 1000 - QUIET_MS / 1000 + 1, `${left}`);
	await c.leave();
	shown('message-expiry');
}

async function main() {
	const pub = await connect('pub');
	const slow = await slowStart(pub);
	await showQos(pub);
	await showFilters(pub);
	await showRetained(pub);
	await showWill();
	await showTakeover();
	await showResume(pub);
	await showShared(pub);
	await showLarge(pub);
	await showRefused(pub);
	if (ca) await showCertificate();
	if (version === 5) {
		await showProperties(pub);
		await showSubscriptionId(pub);
		await showAliases();
		await showAssignedId();
		await showEnhancedAuth();
	}
	await slowEnd(slow, pub);
	await pub.leave();
}

main().then(() => process.exit(0), (e) => {
	console.log(e);
	process.exit(1);
});
