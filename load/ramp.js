// The ramp of load/ramp.sh for k6: 50 virtual users at most, over 10 client ids. Every answer must be 200 or 429.
// k6 run load/ramp.js; -e URL=http://127.0.0.1:8080 -e ADMIN=http://127.0.0.1:9800 say where Penstock is.
import http from 'k6/http';
import { check } from 'k6';
import { Counter } from 'k6/metrics';

const url = __ENV.URL || 'http://127.0.0.1:8080';
const admin = __ENV.ADMIN || 'http://127.0.0.1:9800';
const clients = 10;
const passed = new Counter('answers_200');
const limited = new Counter('answers_429');

// A 429 is an answer that this test expects, so it does not count in http_req_failed.
http.setResponseCallback(http.expectedStatuses(200, 429));

export const options = {
  stages: [
    { duration: '5s', target: 10 },
    { duration: '5s', target: 25 },
    { duration: '5s', target: 50 },
    { duration: '5s', target: 0 },
  ],
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    http_req_duration: ['p(95)<100'],
  },
};

export function setup() {
  for (let id = 1; id <= clients; id++) {
    const limits = JSON.stringify({ capacity: 100, rate_per_sec: 10 });
    const answer = http.put(`${admin}/clients/load${id}`, limits, {
      headers: { 'Content-Type': 'application/json' },
      responseCallback: http.expectedStatuses(200, 201),
    });
    if (answer.status !== 200 && answer.status !== 201) {
      throw new Error(`client load${id} could not be registered: ${answer.status} ${answer.body}`);
    }
  }
}

export default function () {
  const id = `load${((__VU - 1) % clients) + 1}`;
  const answer = http.get(`${url}/`, { headers: { 'X-API-Key': id } });
  check(answer, { 'is 200 or 429': (a) => a.status === 200 || a.status === 429 });
  if (answer.status === 200) {
    passed.add(1);
  } else if (answer.status === 429) {
    limited.add(1);
  }
}
