/* Exchanges the token for a session. */
import { send } from "./api.js";

const form = document.getElementById("login");
const wrong = document.getElementById("wrong");

/* Whoever comes by a link from elsewhere has a session that the browser did not tell of. */
fetch("/api/v1/status").then((response) => response.ok && location.replace("/"));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  wrong.hidden = true;
  try {
    await send("POST", "/login", { token: form.token.value });
    location.assign("/");
  } catch (error) {
    wrong.textContent = error.message;
    wrong.hidden = false;
    form.token.select();
  } finally {
    button.disabled = false;
  }
});
