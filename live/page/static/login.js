/* Exchanges the token for a session. */
import { send } from "./api.js";

const form = document.getElementById("login");
const wrong = document.getElementById("wrong");

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
