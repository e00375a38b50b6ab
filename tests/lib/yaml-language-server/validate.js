// SPDX-License-Identifier: Apache-2.0
// node validate.js FOLDER SCHEMA[#/definitions/NAME] FILE...: what ajv says of YAML 1.2 files, as one JSON object.
const fs = require("fs");
const { createRequire } = require("module");

const [folder, name, ...files] = process.argv.slice(2);
const load = createRequire(folder + "/");
const Ajv = load("ajv");
const YAML = load("yaml");

// Its own strict mode finds mistakes of the schema; a text may be written as a plain number, so unions of types are meant,
// and so are keywords that stand beside a type that is given by a reference.
const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, strictTypes: false, strictRequired: false });
for (const keyword of ["patternErrorMessage", "defaultSnippets"]) ajv.addKeyword(keyword);
const [path, part] = name.split("#");
ajv.addSchema(JSON.parse(fs.readFileSync(path, "utf8")), "schema");
const check = ajv.getSchema("schema" + (part ? "#" + part : ""));

const results = {};
for (const file of files) {
    const document = YAML.parseDocument(fs.readFileSync(file, "utf8"), { uniqueKeys: true });
    let wrong = document.errors.map((error) => "YAML: " + error.message.split("\n")[0]);
    if (wrong.length === 0) {
        try {
            if (!check(document.toJS())) wrong = check.errors.map((error) => error.instancePath + " " + error.message);
        } catch (error) {
            wrong = ["YAML: " + error.message];
        }
    }
    results[file] = wrong;
}
console.log(JSON.stringify(results));
