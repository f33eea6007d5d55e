// What npm brought for these tests, from the build directory that WEIR_PAGE_MODULES names (tests/page/run fills it).
import { createRequire } from 'node:module';

if (!process.env.WEIR_PAGE_MODULES) throw new Error('WEIR_PAGE_MODULES is not set: start these tests with tests/page/run');
const require = createRequire(`${process.env.WEIR_PAGE_MODULES}/`);
export const { chromium } = require('playwright-core');
export const { WebSocketServer } = require('ws');
